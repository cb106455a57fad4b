"""Verification of a finished dataset: read everything, and list damage and the affected patches.

Nothing is repaired here. The manifest is the reference: every file that it lists is hashed. Every patch is decoded and
compared with its checksum. Tables, index, statistics and metadata are computed again and compared. With the archive,
every patch is also cut again and compared with the stored one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from spectralearth_build.archive.watched import sharing, watched
from spectralearth_build.checking.affected import Affected
from spectralearth_build.checking.audit import audit
from spectralearth_build.checking.compare import compare_tile
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.file_check import check_files, without_manifest
from spectralearth_build.checking.findings import examined, finding, of_failure
from spectralearth_build.checking.label_check import check_labels
from spectralearth_build.checking.shard_check import check_recorded
from spectralearth_build.checking.split_check import check_splits
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting.second_look import judged, refused
from spectralearth_build.cutting.task import Tasks
from spectralearth_build.errors import ArchiveError, UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.layout import (
    INDEX,
    MANIFEST,
    PLAN,
    REFLECTANCE,
    ROOT,
    STATISTICS,
    STORE,
    array_metadata,
    commit_name,
    is_commit,
    is_shard,
    shard_name,
)
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.progress import track
from spectralearth_build.publishing.committed import UNKNOWN, Committed, joined
from spectralearth_build.publishing.coordinates import coordinates_of
from spectralearth_build.publishing.publish import statistics_document
from spectralearth_build.store import statistics
from spectralearth_build.store.commit import Commit, decode
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.index import boxes, holds
from spectralearth_build.store.labels import StoredLabel, read_labels
from spectralearth_build.store.manifest import Entry, Manifest, StatusCounts, counts, entry_of_file
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.store.schema import Coordinate, coordinate_chunk, decode_bytes, encode_texts
from spectralearth_build.tables import LABELS, LOCATIONS, PATCHES, SPLITS, TILES

_OF_PLAN = {PLAN, TILES.file, LOCATIONS.file, PATCHES.file}

Files = Mapping[str, Entry]


def verify(dataset: Path, archive: Path | None = None, executor: Executor | None = None) -> list[Damage]:
    """Verify a published dataset.

    Args:
        dataset: the dataset.
        archive: folder of the products; if given, every patch is compared with its source pixels.
        executor: runs the checks of shards and tiles; None: run in this process.

    Returns:
        All damage, sorted; empty if there is none. Files that this machine cannot read are of kind `NOT_CHECKED`.

    Raises:
        UsageError: The dataset is not published, or its plan has grown since.
        MachineError: The process may not open enough files, or has too little memory.
        ArchiveError: The archive is unavailable, or the archive or dataset becomes unavailable during verification.
    """
    dataset = dataset.absolute()
    before = _identity(dataset)
    found = _verified(dataset, archive, executor)
    if found and _identity(dataset) != before:
        what = "The dataset became unavailable during verification, so there is no result."
        raise ArchiveError(what, dataset, "Mount its disk again, then run the same command again.")
    return found


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what distinguishes a folder from the empty one under a lost mount; None if it does not exist."""
    try:
        seen = folder.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _verified(dataset: Path, archive: Path | None, executor: Executor | None) -> list[Damage]:
    try:
        manifest = Manifest.decode(_published(dataset))
    except ValueError as error:
        return sorted([finding("FileChanged", MANIFEST, error), *without_manifest(dataset)])
    _check_published(dataset, manifest)
    runner = executor or InlineExecutor()
    files = manifest.files
    found = list(check_files(dataset, files))
    changed = {damage.path for damage in found}
    try:
        planned = load_plan(dataset)
        wrong = audit(planned.folders, planned.shard_rows)
        affected = Affected.read(planned.folders[PATCHES.file])
        commits = joined(_records(dataset, files), lambda _: statistics.BandStatistics())
        labels = read_labels(dataset, planned.plan_of, lenient=True)
        balance = list(_balance(dataset, manifest, planned, commits, labels))
        found = [affected.named(damage) for damage in found]
    except Exception as error:  # damaged tables can raise any error, and each one is a finding
        return sorted([*found, finding("TableWrong", PATCHES.file, error, bool(changed & _OF_PLAN))])
    found += [*wrong, *balance]

    def check(kind: str, path: str, by: Callable[[], Iterable[Damage]]) -> list[Damage]:
        return list(examined(kind, path, by, path in changed))

    found += check("SplitsWrong", SPLITS.file, partial(check_splits, dataset, planned))
    with sharing(runner, dataset) as sharers:
        found += _shards(dataset, planned, commits, affected, files, sharers)
        checking_labels = partial(
            check_labels,
            dataset,
            planned,
            affected,
            labels=labels,
            files=files,
            changed=changed,
            runner=sharers,
        )
        found += check("LabelsWrong", LABELS.file, checking_labels)
    if not changed & set(INDEX):
        found += check("IndexWrong", INDEX[0], partial(_index, dataset, planned))
    if wrong:
        return sorted(found)  # all further checks need the tables
    found += check("StoreWrong", ROOT, partial(_store, dataset, planned))
    if archive is not None:
        found += _compare(dataset, archive.absolute(), planned, _shards_by_tile(planned, commits), runner)
    return sorted(found)


def _published(dataset: Path) -> bytes:
    try:
        return (dataset / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"The dataset has no {MANIFEST}.", dataset, "Run `build ARCHIVE DATASET` first."
        ) from error
    except OSError as error:
        raise (fault_of(error) or error) from error


def _check_published(dataset: Path, manifest: Manifest) -> None:
    """Refuse a dataset whose plan has grown since. A plan that cannot be read is a finding of its own."""
    plan = PlanDocument.readable(dataset / PLAN)
    if plan and manifest.plan in plan.ids[:-1]:
        raise UsageError(
            "The plan has grown, but the dataset has not yet.", dataset, "Run `build ARCHIVE DATASET` first."
        )


def _records(dataset: Path, files: Files) -> Iterator[tuple[Commit, bytes]]:
    """Yield the readable records that the manifest lists. Damage of their files is reported elsewhere."""
    for name in filter(is_commit, files):
        try:
            data = (dataset / name).read_bytes()
            yield decode(data), data
        except (OSError, ValueError):
            continue


def _balance(
    dataset: Path, manifest: Manifest, planned: Planned, commits: Committed, labels: list[StoredLabel]
) -> Iterator[Damage]:
    """Check that plan, manifest, tables and commit records agree."""
    if manifest.plan != planned.id or any(
        plan != planned.plan_of(shard) for shard, plan in commits.plans.items()
    ):
        yield Damage("PlanWrong", MANIFEST, "Manifest, plan and commit records belong to different plans.")
    statuses = StatusCounts(planned.folders)
    if manifest.counts != counts(planned, statuses, len(commits.plans), commits.bytes, labels):
        yield Damage("CountsWrong", MANIFEST, "The counts differ from those of tables and commit records.")
    rows = commits.rows[~np.isin(commits.rows, planned.live.retired)]
    if not np.array_equal(rows, np.sort(statuses.written)):
        yield Damage(
            "CountsWrong", PATCHES.file, "The rows marked as written differ from those that were committed."
        )
    if not _same_checksums(planned, commits):
        yield Damage("CountsWrong", PATCHES.file, "The checksums differ from those of the commit records.")


def _same_checksums(planned: Planned, commits: Committed) -> bool:
    """Return whether patches.parquet has every checksum of the commit records."""
    asked, found = commits.checksums != UNKNOWN, np.zeros(len(commits.rows), np.bool_)
    for batch in PATCHES.batches(planned.folders[PATCHES.file], ["store_row", "checksum"]):
        rows = batch["store_row"].to_numpy()
        there, expected = commits.find(rows)
        same = there & (batch["checksum"].fill_null(UNKNOWN).to_numpy() == expected)
        found[np.searchsorted(commits.rows, rows[same])] = True
    return bool(found[asked].all())


def _shards(
    dataset: Path, planned: Planned, commits: Committed, affected: Affected, files: Files, runner: Executor
) -> Iterator[Damage]:
    """Check every shard, and compare the published statistics with the pixels read."""
    whole = statistics.Sum()
    complete = True
    tasks = _ShardTasks(dataset, planned, affected, {f"shard-{shard}": shard for shard in commits.plans})
    for key, outcome in track(runner.run("verify", check_recorded, tasks), "verify", len(tasks)):
        if isinstance(outcome, Failure):
            yield of_failure(key, outcome)
            complete = False
        else:
            yield from outcome.damages
            complete = complete and not outcome.damages
            whole.add(outcome.statistics)
    for shard in commits.plans:
        name = shard_name(shard)
        if files.get(name) != commits.files[name]:
            what = f"The commit record and the manifest differ on {name}."
            yield Damage("CountsWrong", commit_name(shard), what)
    for name in (name for name in files if is_shard(name) and name not in commits.files):
        if (dataset / name).is_file() and entry_of_file(dataset / name) != files[name]:
            yield affected.named(Damage("FileChanged", name, "There is no commit record either."))
    if complete and _json(dataset / STATISTICS) != statistics_document(whole.total):
        yield Damage("StatisticsWrong", STATISTICS, "The statistics differ from those of the patches.")


@dataclass(frozen=True)
class _ShardTasks(Mapping[str, tuple[Any, ...]]):
    """Arguments of `check_recorded`, each made on request."""

    dataset: Path
    planned: Planned
    affected: Affected
    shards: Mapping[str, int]
    """The shards, by key of their task."""

    def __getitem__(self, key: str) -> tuple[Any, ...]:
        shard, rows, retired = self.shards[key], self.planned.shard_rows, self.planned.live.retired
        first, stop = np.searchsorted(retired, [shard * rows, (shard + 1) * rows])
        away = frozenset(retired[first:stop].tolist())
        return self.dataset, shard, self.planned.codec, rows, away, self.affected.names(shard)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shards)

    def __len__(self) -> int:
        return len(self.shards)


def _index(dataset: Path, planned: Planned) -> Iterator[Damage]:
    """Check the index against the locations."""
    geometries = (
        each["geometry"] for each in LOCATIONS.batches(planned.folders[LOCATIONS.file], ["geometry"])
    )
    if not holds(dataset, boxes(geometries)):
        yield Damage("IndexWrong", INDEX[0], f"The index does not contain the boxes of {LOCATIONS.file}.")


def _store(dataset: Path, planned: Planned) -> Iterator[Damage]:
    """Check metadata and coordinates of the store, as zarr reads them, against plan and tables."""
    reflectance = planned.reflectance
    root = zarr.open_group(dataset / STORE, mode="r", use_consolidated=True)
    for name, coordinate in coordinates_of(planned, planned.folders[PATCHES.file]):
        if not _holds(dataset, name, root[name], coordinate):
            yield Damage("StoreWrong", f"{STORE}/{name}", "The values differ from those of the tables.")
    if _json(dataset / array_metadata(REFLECTANCE)) != reflectance:
        yield Damage("StoreWrong", REFLECTANCE, "The metadata differs from that of the plan.")


def _holds(dataset: Path, name: str, array: Any, coordinate: Coordinate) -> bool:  # noqa: ANN401
    """Return whether an array has the values of a coordinate. Zarr would make an object of each text."""
    if isinstance(coordinate.values, np.ndarray):
        values = np.asarray(array[...])
        return np.array_equal(values, coordinate.values, equal_nan=values.dtype.kind == "f")
    if array.shape != coordinate.shape or not len(coordinate.values):
        return bool(array.shape == coordinate.shape)
    chunk = (dataset / coordinate_chunk(name, 1)).read_bytes()
    return decode_bytes(chunk) == encode_texts(coordinate.values)


def _compare(
    dataset: Path, archive: Path, planned: Planned, shards: dict[str, list[int]], runner: Executor
) -> Iterator[Damage]:
    """Compare every patch with its source pixels."""
    with watched(runner, archive, dataset, planned.paths(shards)) as watching:
        tasks = Tasks(
            archive,
            dataset,
            planned,
            shards,
            presence=watching.look,
            refused=refused(planned, read_failed(dataset, planned.first_id)),
            judged=judged(dataset, planned),
        )
        for tile_id, outcome in track(watching.run("compare", compare_tile, tasks), "compare", len(tasks)):
            yield from [of_failure(tile_id, outcome)] if isinstance(outcome, Failure) else outcome


def _json(path: Path) -> Any:  # noqa: ANN401
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _shards_by_tile(planned: Planned, commits: Committed) -> dict[str, list[int]]:
    """Return the committed shards of each tile. Shards whose patches are all retired no longer have a source."""
    held = {
        tile: [s for s in shards if s in commits.plans] for tile, shards in planned.shards_by_tile.items()
    }
    return {tile: shards for tile, shards in held.items() if shards}
