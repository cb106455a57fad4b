"""Copy a published dataset with another codec: the same values, tables, rows and shards.

Shard by shard, patches are decoded, encoded, decoded again and compared. A commit record in the new dataset marks a
shard as done, so an interrupted run continues where it stopped. The new dataset is published like any other, its root
last, and can grow like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spectralearth_build.archive.watched import sharing
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.files import delete_partials, write_bytes
from spectralearth_build.layout import (
    COMMITS,
    MANIFEST,
    PLAN,
    ROOT,
    STORE,
    is_commit,
    is_label_shard,
    shard_name,
    shard_path,
)
from spectralearth_build.lock import alone
from spectralearth_build.plan.estimates import STORED_SHARE
from spectralearth_build.plan_document import Inputs, PlanDocument
from spectralearth_build.progress import track
from spectralearth_build.publishing.committed import joined
from spectralearth_build.publishing.publish import store_files
from spectralearth_build.store.codec import PATCH_SHAPE, PRESETS, checksum_of, decode_into, encode_patch
from spectralearth_build.store.commit import Commit, decode, json_bytes, read_all, records
from spectralearth_build.store.labels import MEND, read_labels
from spectralearth_build.store.manifest import (
    Entry,
    Manifest,
    StatusCounts,
    counts,
    entries_of,
    entry,
    manifest_of,
    together,
)
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.store.shard import ShardReader, write_shard
from spectralearth_build.store.statistics import BandStatistics
from spectralearth_build.tables import LABELS, LOCATIONS, OVERLAPS, PATCHES, SPLITS, TILES, TUPLES


@dataclass(frozen=True)
class Recoded:
    """Sizes of the pixels before and after."""

    shards: int
    """Number of shards that this run wrote."""
    before: int
    """Size of all shards of the old dataset in bytes."""
    after: int
    """Size of all shards of the new dataset in bytes."""


def recode(dataset: Path, target: Path, codec: str, executor: Executor | None = None) -> Recoded:
    """Copy a published dataset with another codec, or continue an interrupted copy.

    Args:
        dataset: folder of the dataset, which is only read.
        target: folder of the new dataset, empty or left by an interrupted call with the same arguments.
        codec: name of a preset.
        executor: runs a task for each shard; None: this process.

    Raises:
        UsageError: The codec does not exist, the dataset is not published, or ``target`` contains something else.
        DamagedError: Files or patches of the dataset are damaged.
    """
    dataset, target = dataset.absolute(), target.absolute()
    if codec not in PRESETS:
        raise UsageError(f"Unknown codec '{codec}'. The codecs are: {', '.join(PRESETS)}.")
    manifest = _manifest(dataset)
    document = _renamed(PlanDocument.read(dataset / PLAN), codec)
    plan = json_bytes(document.document())
    _check_target(dataset, target, plan)
    with alone(target):
        delete_partials(target)
        write_bytes(target / PLAN, plan)
        for name in _kept(manifest):
            _copy(dataset, target, name, manifest.files[name])
        for table in (TILES, OVERLAPS, TUPLES, LOCATIONS, PATCHES, LABELS):
            if table.plans_of(target):  # else an earlier version wrote it, without this information
                table.write(table.read_arrow(target), target, document.ids)
        if (dataset / SPLITS.file).is_file():
            write_bytes(target / SPLITS.file, (dataset / SPLITS.file).read_bytes())
        planned = load_plan(target)
        _copy_masks(dataset, target, planned)
        _copy_labels(dataset, target, planned, manifest.files)
        before = [decode((dataset / name).read_bytes()) for name in manifest.files if is_commit(name)]
        there = read_all(target, planned.plan_of)
        waiting = {f"shard-{c.shard}": c for c in before if c.shard not in there}
        for key, failure in _run(
            dataset,
            target,
            planned=planned,
            waiting=waiting,
            codec=codec,
            executor=executor or InlineExecutor(),
        ):
            raise DamagedError(
                f"The shard cannot be recoded: {failure.message}",
                dataset / shard_name(waiting[key].shard),
                "Run `verify` on the dataset, then the same command again.",
            )
        after = _publish(target, planned, manifest)
    return Recoded(len(waiting), sum(c.size for c in before), after)


def recode_shard(
    dataset: Path, target: Path, commit: Commit, planned_as: str, codecs: tuple[str, str], rows: int
) -> None:
    """Write one shard and its commit record.

    Args:
        dataset: folder of the old dataset.
        target: folder of the new dataset.
        commit: commit record of the shard in the old dataset.
        planned_as: id of its generation in the new dataset.
        codecs: presets of the old and the new dataset.
        rows: number of rows per shard.

    Raises:
        DamagedError: A patch cannot be read, or differs after recoding.
    """
    reader = ShardReader(shard_path(dataset, commit.shard), rows)
    first = commit.shard * rows
    if [first + row for row in reader.rows()] != list(commit.rows):
        raise DamagedError("The shard contains other rows than its commit record says.", reader.path)
    checksums = {row - first: checksum for row, checksum in commit.checksums.items()}
    written = write_shard(shard_path(target, commit.shard), rows, _patches(reader, codecs, checksums))
    replace(commit, plan=planned_as, size=written.size, sha256=written.sha256).write(target)


def _patches(
    reader: ShardReader, codecs: tuple[str, str], checksums: Mapping[int, int]
) -> Iterator[tuple[int, bytes]]:
    again = np.empty(PATCH_SHAPE, np.int16)
    for row in reader.rows():
        patch = reader.patch(row, codecs[0])
        assert patch is not None
        data = encode_patch(patch, codecs[1])
        decode_into(data, again, codecs[1])
        if checksum_of(patch) != checksums.get(row, checksum_of(patch)):
            raise DamagedError(
                f"Row {row} of the shard does not contain the pixels that were cut.", reader.path
            )
        if not np.array_equal(again, patch):
            raise DamagedError(f"Row {row} of the shard differs after recoding.", reader.path)
        yield row, data


def _run(
    dataset: Path, target: Path, planned: Planned, waiting: dict[str, Commit], codec: str, executor: Executor
) -> Iterator[tuple[str, Failure]]:
    """Recode shards, and yield failures."""
    rows, old = planned.shard_rows, load_plan(dataset).codec
    tasks = {
        key: (dataset, target, commit, planned.plan_of(commit.shard), (old, codec), rows)
        for key, commit in waiting.items()
    }
    with sharing(executor, dataset) as sharers:
        for key, outcome in track(sharers.run("recode", recode_shard, tasks), "recode", len(tasks)):
            if isinstance(outcome, Failure):
                yield key, outcome


def _manifest(dataset: Path) -> Manifest:
    try:
        manifest = Manifest.read(dataset)
        if not (dataset / ROOT).is_file():
            raise FileNotFoundError(ROOT)
    except (OSError, DamagedError) as error:
        raise UsageError(
            "The dataset is not finished.", dataset, "Run `build ARCHIVE DATASET` first."
        ) from error
    return manifest


def _renamed(plan: PlanDocument, codec: str) -> PlanDocument:
    """The plan of the new dataset: other settings, so other ids of its generations."""

    def other(identity: str) -> str:
        return hashlib.sha256(f"{identity} {codec}".encode()).hexdigest()

    estimate = plan.estimate
    if estimate:
        estimate = replace(estimate, stored_bytes=int(estimate.raw_bytes * STORED_SHARE[codec]))
    return replace(
        plan,
        id=other(plan.id),
        inputs=Inputs(settings={**plan.inputs["settings"], "store.codec": codec}, tiles=plan.inputs["tiles"]),
        generations=tuple(replace(each, id=other(each.id)) for each in plan.generations),
        estimate=estimate,
    )


def _check_target(dataset: Path, target: Path, plan: bytes) -> None:
    if target == dataset:
        raise UsageError("A dataset cannot be recoded in place.", target, "Give another folder as TARGET.")
    there = target / PLAN
    if target.is_dir() and any(target.iterdir()) and not (there.is_file() and there.read_bytes() == plan):
        raise UsageError("The folder contains something else.", target, "Give a new or empty folder.")


def _kept(manifest: Manifest) -> list[str]:
    """Return the files to copy unchanged: tables, statistics, index, map."""
    return [n for n in manifest.files if n != PLAN and not n.startswith((f"{COMMITS}/", f"{STORE}/"))]


def _copy(dataset: Path, target: Path, name: str, expected: Entry, remedy: str = "") -> None:
    try:
        data = (dataset / name).read_bytes()
    except FileNotFoundError as error:
        raise DamagedError(
            "The file is missing, although the manifest lists it.", dataset / name, remedy
        ) from error
    if entry(data) != expected:
        raise DamagedError("The file differs from what the manifest says.", dataset / name, remedy)
    write_bytes(target / name, data)


def _copy_masks(dataset: Path, target: Path, planned: Planned) -> None:
    """Copy the masks, if there are any. Comparing with the archive and growing need them."""
    for name in sorted(set(planned.tiles["mask"].dropna()) - {""}):
        if (dataset / name).is_file() and not (target / name).is_file():
            write_bytes(target / name, (dataset / name).read_bytes())


def _copy_labels(dataset: Path, target: Path, planned: Planned, files: Mapping[str, Entry]) -> None:
    """Copy published labels unchanged. Only the names of generations in their records change.

    Raises:
        DamagedError: A shard or its record is missing, or differs from what was published.
    """
    lost = {name for name in files if is_label_shard(name)}
    for name in sorted(lost):
        _copy(dataset, target, name, files[name], MEND)
    for label in read_labels(dataset, load_plan(dataset).plan_of):
        for record in label.records.values():
            if record.shard_name in lost:
                lost.remove(record.shard_name)
                replace(record, plan=planned.plan_of(record.shard)).write(target)
    if lost:
        raise DamagedError("The label shard has no readable commit record.", dataset / min(lost), MEND)


def _publish(target: Path, planned: Planned, old: Manifest) -> int:
    """Write metadata, manifest and finally the root, and return the size of all shards in bytes."""
    commits = joined(records(target, planned.plan_of), lambda _: BandStatistics())
    files = {name: (target / name).read_bytes() for name in [*_kept(old), PLAN]}
    labels = read_labels(target, planned.plan_of)
    files |= store_files(planned, target, labels)
    numbers = counts(planned, StatusCounts(planned.folders), len(commits.plans), commits.bytes, labels)
    entries = together(entries_of(files), commits.files)
    manifest = manifest_of(planned, numbers, entries, target, labels).encode()
    root = files.pop(ROOT)
    for name, data in {**files, MANIFEST: manifest, ROOT: root}.items():
        write_bytes(target / name, data)
    size: int = numbers["store"]["shard_bytes"]
    return size
