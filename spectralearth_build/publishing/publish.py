"""Publication, the last step of cut: final tables, statistics, index and metadata. Then the dataset opens to readers.

Everything is computed from the plan and the commit records. Files that already have the right bytes are not touched. If
any file differs, the root metadata is removed first and restored last, so that no reader opens a mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spectralearth_build.archive.bands import nominal
from spectralearth_build.errors import DamagedError
from spectralearth_build.files import delete_partials, remove, write_bytes
from spectralearth_build.journal import forget_waiting, newest
from spectralearth_build.layout import (
    COMMITS,
    LABEL_PREFIX,
    MANIFEST,
    MAP,
    PLAN,
    REFLECTANCE,
    ROOT,
    STATISTICS,
    STORE,
    array_metadata,
    label_definition,
    shard_files,
    shard_name,
    shard_path,
)
from spectralearth_build.publishing.coordinates import coordinates_of
from spectralearth_build.publishing.final_status import final_tables, given_up
from spectralearth_build.publishing.quarantine import quarantine
from spectralearth_build.scratch import scratch_of
from spectralearth_build.store import schema, statistics
from spectralearth_build.store.commit import Commit, json_bytes, read_all
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.index import boxes, encode_index
from spectralearth_build.store.label_arrays import label_document
from spectralearth_build.store.labels import StoredLabel, frame, read_labels
from spectralearth_build.store.manifest import FORMAT, counts, manifest_of
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.tables import LABELS, LOCATIONS, OVERLAPS, PATCHES, QUARANTINE, TILES, TUPLES

BY_PLAN = (OVERLAPS.file, TUPLES.file, PLAN, MAP)
"""Files whose final version the plan stage wrote."""
FINAL = (TILES, LOCATIONS, PATCHES)
"""Tables that get their final status at publication."""


@dataclass(frozen=True)
class Published:
    """The contents of a published dataset."""

    changed: bool
    """Whether anything had to be written."""
    written: int
    """Number of patches in the store."""
    skipped: int
    """Number of planned patches that are not in the store."""
    failed: tuple[str, ...]
    """Tiles that failed in cut."""


def publish(dataset: Path, waiting: bool = False) -> Published:
    """Publish a dataset whose shards are all committed, with its labels.

    Args:
        dataset: folder of the dataset.
        waiting: whether to publish the waiting plan, if there is one, instead of the plan of the dataset again. The
            waiting plan is removed last, so that it is complete for the next run after a crash.

    Raises:
        UsageError: There are shards that are neither committed nor given up.
        PlanChangedError: A commit record belongs to another plan.
        DamagedError: The definition of a label, or a table of the plan, is damaged.
        OutOfSpaceError: The disk is full.
    """
    delete_partials(dataset)
    find = partial(newest, dataset) if waiting else dataset.joinpath
    planned = load_plan(dataset, waiting)
    commits = read_all(dataset, planned.plan_of)
    failed = given_up(planned, commits, read_failed(dataset, planned.first_id))
    tables = final_tables(planned, commits, failed)
    labels = read_labels(dataset, planned.plan_of)
    held = [commits[shard] for shard in sorted(commits)]
    files = _table_files(find, planned, tables)
    files[QUARANTINE.file] = QUARANTINE.encode(quarantine(tables[TILES.file]))
    files |= {name: find(name).read_bytes() for name in BY_PLAN if find(name).is_file()}
    whole = statistics.total(_live_statistics(dataset, planned, commit) for commit in held)
    files[STATISTICS] = json_bytes(statistics_document(whole))
    _read_back(dataset, files)
    with scratch_of(dataset) as scratch:
        files |= encode_index(boxes(list(tables[LOCATIONS.file].geometry)), scratch)
    files |= store_files(planned, tables[PATCHES.file], labels)
    numbers = counts(planned, tables, held, labels)
    manifest = manifest_of(
        planned, numbers, files=files, commits=held, dataset=dataset, labels=labels
    ).encode()
    root = files.pop(ROOT)
    swept = _sweep(dataset, held, labels, files)
    changed = _replace(dataset, {**files, MANIFEST: manifest, ROOT: root}) or swept
    if waiting:
        forget_waiting(dataset)
    patches = numbers["patches"]
    return Published(changed, patches["written"], patches["skipped"], tuple(sorted(failed)))


def statistics_document(whole: statistics.BandStatistics) -> dict[str, Any]:
    """Return statistics per band of all written pixels, except those of retired patches.

    These are exact sums, and mean and standard deviation in stored units.
    """
    bands = nominal()
    return {
        "bands": len(whole.sum),
        "scale": schema.SCALE,
        "wavelength_nm": bands.wavelength_nm.tolist(),
        "mean": whole.mean,
        "std": whole.std,
        **whole.document(),
    }


def store_files(
    planned: Planned, patches: pd.DataFrame, labels: Sequence[StoredLabel] = ()
) -> dict[str, bytes]:
    """Return metadata and coordinates of the store, and definitions and table of labels, by path below the dataset."""
    coordinates = coordinates_of(planned, patches)
    arrays = {REFLECTANCE: planned.reflectance}
    files: dict[str, bytes] = {}
    for name, coordinate in coordinates.items():
        arrays[name], parts = schema.coordinate_files(name, coordinate)
        files |= parts
    for definition in (each.definition for each in labels):
        arrays[definition.array] = label_document(definition, planned.shards, planned.shard_rows)
        files[label_definition(definition.label)] = definition.data
    if labels:
        files[LABELS.file] = LABELS.encode(frame(labels, patches), planned.plans)
    for name in (REFLECTANCE, *(each.definition.array for each in labels)):
        files[array_metadata(name)] = schema.metadata_bytes(arrays[name])
    attributes = schema.root_attributes(planned.id, planned.codec, FORMAT, list(coordinates))
    files[ROOT] = schema.metadata_bytes(schema.root_document(attributes, arrays))
    return files


def _live_statistics(dataset: Path, planned: Planned, commit: Commit) -> statistics.BandStatistics:
    """Return statistics of the patches of a shard that are not retired. If only some are, pixels are read again."""
    rows = [row for row in commit.rows if row not in planned.retired_rows]
    if len(rows) == len(commit.rows):
        return commit.statistics
    if not rows:
        return statistics.BandStatistics()
    reader = ShardReader(shard_path(dataset, commit.shard), planned.shard_rows)
    first = commit.shard * planned.shard_rows
    patches = (reader.patch(row - first, planned.codec) for row in rows)
    return statistics.total(statistics.of_patch(patch) for patch in patches if patch is not None)


def _table_files(
    find: Callable[[str], Path], planned: Planned, tables: Mapping[str, pd.DataFrame]
) -> dict[str, bytes]:
    """Return the final tables as files; existing files if nothing changed."""
    return {
        table.file: find(table.file).read_bytes()
        if _same(planned.tables[table.file], tables[table.file])
        and table.plans_of(find(table.file).parent) == planned.plans
        else table.encode(tables[table.file], planned.plans)
        for table in FINAL
    }


def encoded_tables(tables: Mapping[str, pd.DataFrame], plans: Sequence[str]) -> dict[str, bytes]:
    """Encode final tables as file contents, by name."""
    return {table.file: table.encode(tables[table.file], plans) for table in FINAL}


def _same(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    touched = [name for name in ("status", "reason", "error_class", "correction", "n") if name in after]
    same = all(before[name].fillna("").tolist() == after[name].fillna("").tolist() for name in touched)
    return same and ("checksum" not in after or before["checksum"].astype(float).equals(after["checksum"]))


def _read_back(dataset: Path, files: Mapping[str, bytes]) -> None:
    """Read tables and plan as readers will, before the manifest lists them.

    Raises:
        DamagedError: A file cannot be read.
    """
    for name, data in files.items():
        try:
            if name.endswith(".parquet"):
                pq.read_table(pa.BufferReader(data))
        except (pa.ArrowException, OSError, ValueError) as error:
            remedy = (
                f"Delete {PLAN} and run `build` again, with the same settings." if name in BY_PLAN else None
            )
            raise DamagedError(f"The file cannot be read ({error}).", dataset / name, remedy) from error


def _sweep(
    dataset: Path, commits: list[Commit], labels: list[StoredLabel], files: Mapping[str, bytes]
) -> bool:
    """Delete shards without record, records without shard, an outdated map, and remains of labels."""
    known = {name for commit in commits for name in (commit.name, shard_name(commit.shard))}
    known = known.union(*(label.names for label in labels))
    known |= {array_metadata(label.definition.array) for label in labels}
    present = [
        *(dataset / COMMITS).glob("*"),
        *shard_files(dataset),
        *(dataset / STORE).glob(f"{LABEL_PREFIX}*/*"),
        *([] if labels else dataset.glob(LABELS.file)),
        *([] if MAP in files else dataset.glob(MAP)),
    ]
    stale = [path for path in present if path.relative_to(dataset).as_posix() not in known]
    if stale:
        remove(dataset / ROOT)
    for path in stale:
        remove(path)
    return bool(stale)


def _replace(dataset: Path, files: Mapping[str, bytes]) -> bool:
    """Write files that differ, in order. The root, last in ``files``, is removed while any file differs."""
    different = {name: data for name, data in files.items() if not _is(dataset / name, data)}
    if different:
        remove(dataset / ROOT)
        different[ROOT] = files[ROOT]
    for name, data in different.items():
        write_bytes(dataset / name, data)
    return bool(different)


def _is(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
