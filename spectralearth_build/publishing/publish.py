"""Publication, the last step of cut: final tables, statistics, index and metadata. Then the dataset opens to readers.

Everything is computed from the plan and the commit records. Files that already have the right bytes are not touched. If
any file differs, the root metadata is removed first and restored last, so that no reader opens a mixture.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spectralearth_build.archive.bands import nominal
from spectralearth_build.errors import DamagedError
from spectralearth_build.files import delete_partials, remove, replacing, write_bytes
from spectralearth_build.journal import forget_waiting, newest
from spectralearth_build.layout import (
    COMMITS,
    INDEX,
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
)
from spectralearth_build.memory import release
from spectralearth_build.publishing.committed import Committed, read_committed
from spectralearth_build.publishing.coordinates import coordinates_of
from spectralearth_build.publishing.final_status import FINAL, FinalStatus, given_up
from spectralearth_build.publishing.quarantine import GROUPED, quarantine
from spectralearth_build.publishing.unchanged import Remembered, remember, unchanged
from spectralearth_build.scratch import scratch_of
from spectralearth_build.signals import raise_if_told
from spectralearth_build.store import schema, statistics
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.index import boxes, write_index
from spectralearth_build.store.label_arrays import label_document
from spectralearth_build.store.labels import StoredLabel, frame, read_labels
from spectralearth_build.store.manifest import FORMAT, StatusCounts, counts, entries_of, manifest_of, together
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.tables import LABELS, LOCATIONS, OVERLAPS, PATCHES, QUARANTINE, TILES, TUPLES

BY_PLAN = (OVERLAPS.file, TUPLES.file, PLAN, MAP)
"""Files whose final version the plan stage wrote."""
_READ_BACK = 1 << 14
"""Rows that are read back at a time."""
Content = bytes | Path
"""Content of a file: bytes, or a complete file that has it."""


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


def publish(dataset: Path, waiting: bool = False, anew: bool = False) -> Published:
    """Publish a dataset whose shards are all committed, with its labels.

    If no file has changed since the last publication, nothing is read.

    Args:
        dataset: folder of the dataset.
        waiting: whether to publish the waiting plan, if there is one, instead of the plan of the dataset again. The
            waiting plan is removed last, so that it is complete for the next run after a crash.
        anew: whether to read everything even if no file seems to have changed.

    Raises:
        UsageError: There are shards that are neither committed nor given up.
        PlanChangedError: A commit record belongs to another plan.
        DamagedError: The definition of a label, or a table of the plan, is damaged.
        OutOfSpaceError: The disk is full.
        StoppedError: Another run has taken over; nothing was replaced.
    """
    delete_partials(dataset)
    if not anew and (known := unchanged(dataset)):
        return Published(False, known.written, known.skipped, known.failed)
    planned = load_plan(dataset, waiting).without_products()
    release()
    committed = read_committed(dataset, planned)
    failed = given_up(planned, committed.plans, read_failed(dataset, planned.first_id))
    labels = read_labels(dataset, planned.plan_of)
    find = partial(newest, dataset) if waiting else dataset.joinpath
    with scratch_of(dataset) as scratch, TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as made:
        folders = _final_tables(FinalStatus(planned, committed, failed), Path(made))
        committed = committed.without_rows()
        files: dict[str, Content] = {name: folder / name for name, folder in folders.items()}
        files[QUARANTINE.file] = QUARANTINE.encode(quarantine(TILES.read(folders[TILES.file], list(GROUPED))))
        files |= {name: find(name) for name in BY_PLAN if find(name).is_file()}
        files[STATISTICS] = json_bytes(statistics_document(committed.statistics))
        _read_back(dataset, files)
        release()
        files |= _index_files(folders[LOCATIONS.file], Path(made))
        release()
        files |= store_files(planned, folders[PATCHES.file], labels)
        release()
        numbers = counts(planned, StatusCounts(folders), len(committed.plans), committed.bytes, labels)
        entries = together(entries_of(files), committed.files)
        manifest = manifest_of(planned, numbers, entries, dataset, labels).write(Path(made) / MANIFEST)
        root = files.pop(ROOT)
        raise_if_told()
        swept = _sweep(dataset, committed, labels, files)
        changed = _replace(dataset, {**files, MANIFEST: manifest, ROOT: root}) or swept
    if waiting:
        forget_waiting(dataset)
    patches = numbers["patches"]
    found = Remembered(
        patches["written"],
        patches["skipped"],
        tuple(sorted(failed)),
        incomplete=tuple(sorted({shard for shard, _ in committed.skipped})),
        missing=tuple(
            s for tile in sorted(failed) for s in planned.shards_by_tile[tile] if s not in committed.plans
        ),
    )
    remember(dataset, found)
    return Published(changed, found.written, found.skipped, found.failed)


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


def store_files(planned: Planned, patches: Path, labels: Sequence[StoredLabel] = ()) -> dict[str, bytes]:
    """Return metadata and coordinates of the store, and definitions and table of labels, by path below the dataset.

    Args:
        planned: the plan.
        patches: folder of patches.parquet with its final status.
        labels: the labels.
    """
    arrays = {REFLECTANCE: planned.reflectance}
    files: dict[str, bytes] = {}
    for name, coordinate in coordinates_of(planned, patches):
        arrays[name], parts = schema.coordinate_files(name, coordinate)
        files |= parts
        del coordinate  # the next one is made before the name is used again
    coordinates = [name for name in arrays if name != REFLECTANCE]
    for definition in (each.definition for each in labels):
        arrays[definition.array] = label_document(definition, planned.shards, planned.shard_rows)
        files[label_definition(definition.label)] = definition.data
    if labels:
        rows = PATCHES.read(patches, ["patch_id", "location_id", "store_row", "status"])
        files[LABELS.file] = LABELS.encode(frame(labels, rows), planned.plans)
    for name in (REFLECTANCE, *(each.definition.array for each in labels)):
        files[array_metadata(name)] = schema.metadata_bytes(arrays[name])
    attributes = schema.root_attributes(planned.id, planned.codec, FORMAT, coordinates)
    files[ROOT] = schema.metadata_bytes(schema.root_document(attributes, arrays))
    return files


def _final_tables(status: FinalStatus, made: Path) -> dict[str, Path]:
    """Return the folder of each final table: that of the plan if nothing changed, else ``made``."""
    return {
        table.file: status.planned.folders[table.file]
        if status.is_there(table)
        else status.write(table, made).parent
        for table in FINAL
    }


def _index_files(locations: Path, made: Path) -> dict[str, Path]:
    """Make the index of the locations."""
    write_index(made, lambda: boxes(each["geometry"] for each in LOCATIONS.batches(locations, ["geometry"])))
    return {name: made / name for name in INDEX}


def _read_back(dataset: Path, files: Mapping[str, Content]) -> None:
    """Read tables and plan as readers will, before the manifest lists them.

    Raises:
        DamagedError: A file cannot be read.
    """
    for name, content in files.items():
        try:
            if name.endswith(".parquet"):
                source = content if isinstance(content, Path) else pa.BufferReader(content)
                with pq.ParquetFile(source) as file:
                    for _ in file.iter_batches(_READ_BACK):
                        pass
        except (pa.ArrowException, OSError, ValueError) as error:
            remedy = (
                f"Delete {PLAN} and run `build` again, with the same settings." if name in BY_PLAN else None
            )
            raise DamagedError(f"The file cannot be read ({error}).", dataset / name, remedy) from error


def _sweep(
    dataset: Path, committed: Committed, labels: list[StoredLabel], files: Mapping[str, Content]
) -> bool:
    """Delete shards without record, records without shard, an outdated map, and remains of labels."""
    known = set().union(*(label.names for label in labels))
    known |= {array_metadata(label.definition.array) for label in labels}
    present = chain(
        (dataset / COMMITS).glob("*"),
        shard_files(dataset),
        (dataset / STORE).glob(f"{LABEL_PREFIX}*/*"),
        [] if labels else dataset.glob(LABELS.file),
        [] if MAP in files else dataset.glob(MAP),
    )
    names = ((path, path.relative_to(dataset).as_posix()) for path in present)
    stale = [path for path, name in names if name not in known and name not in committed.files]
    if stale:
        remove(dataset / ROOT)
    for path in stale:
        remove(path)
    return bool(stale)


def _replace(dataset: Path, files: Mapping[str, Content]) -> bool:
    """Write files that differ, in order. The root, last in ``files``, is removed while any file differs."""
    different = {name: content for name, content in files.items() if not _is(dataset / name, content)}
    if different:
        remove(dataset / ROOT)
        different[ROOT] = files[ROOT]
    for name, content in different.items():
        put(dataset / name, content)
    return bool(different)


def put(path: Path, content: Content) -> None:
    """Write a file of the dataset, atomically and durably."""
    if isinstance(content, bytes):
        write_bytes(path, content)
    else:
        with replacing(path) as temporary:
            shutil.copyfile(content, temporary)


def _is(path: Path, content: Content) -> bool:
    if isinstance(content, bytes):
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    return path == content or (path.is_file() and filecmp.cmp(path, content, shallow=False))
