"""The scan stage: from a folder of products to the tile table and masks."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import geopandas as gpd

from spectralearth_build import mask
from spectralearth_build.archive.as_before import ScanSettings, held
from spectralearth_build.archive.correction import OPPOSITE, check_correction
from spectralearth_build.archive.discover import Found, find_products
from spectralearth_build.archive.foreign import told
from spectralearth_build.archive.inspect import identify, inspect_product
from spectralearth_build.archive.names import METADATA, ProductName
from spectralearth_build.archive.no_products import (
    refuse_gone,
    refuse_unlisted,
    refuse_unusable,
)
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.archive.presence import require_archive
from spectralearth_build.archive.product import open_product
from spectralearth_build.archive.record import Record, mask_path, save_record, stamp_of
from spectralearth_build.archive.tile_list import Listed, missing, read_tile_list
from spectralearth_build.archive.tile_rows import merge, row_of_problem, rows_of_tile
from spectralearth_build.archive.unpack_cache import UNPACKED, UnpackCache
from spectralearth_build.archive.versions import candidates, pinned
from spectralearth_build.archive.watched import watched
from spectralearth_build.cluster.task import Executor, Failure
from spectralearth_build.config import Config, ScanConfig
from spectralearth_build.errors import OtherCorrectionError, UsageError, WrongLevelError
from spectralearth_build.files import delete_partials
from spectralearth_build.journal import recover
from spectralearth_build.layout import LISTINGS, SCRATCH, WORK
from spectralearth_build.progress import say, track
from spectralearth_build.tables import TILES
from spectralearth_build.waive import tiles_of

T = TypeVar("T")

LEVEL = "L2A"
Bad = dict[Found, Record]


@dataclass(frozen=True)
class _ScanRun:
    """What all steps of a scan share."""

    archive: Path
    """Folder of the products."""
    dataset: Path
    """The dataset."""
    settings: ScanSettings
    executor: Executor


def scan(
    archive: Path,
    dataset: Path,
    config: Config,
    executor: Executor,
    needed: Collection[str] = (),
    like: Path | None = None,
) -> gpd.GeoDataFrame:
    """Find the products of an archive, read the best of each tile, and write the tile table.

    The newest sound product of each tile is read, once; copies and older versions are not. If the dataset has patches
    of a version, that version is kept, unless `plan.replace_versions` is set. Unchanged products are not read again. If
    nothing changed at all, nothing is written.

    Args:
        archive: folder of the products; never written to.
        dataset: folder of the dataset; receives tiles.parquet, and in work/ a mask and a record of each product read.
        config: settings; the section `scan` and `plan.replace_versions` are used.
        executor: runs the tasks that read products.
        needed: ids of tiles that must exist, because patches were cut from them; checked before anything is read.
        like: a dataset from whose products patches were cut; they are read in the same way. None: ``dataset``.

    Returns:
        The tile table: every product found has one row. Sound products are `eligible` and have the status `unused`
        until they are planned.

    Raises:
        UsageError: the archive is not a folder, or the tile list cannot be read.
        ArchiveError: the archive cannot be reached, at the start or later.
        NothingFoundError: no tile of the tile list is in the archive, or no product can be used.
        PlanChangedError: tiles from which the dataset was built are missing.
    """
    if needed:
        require_archive(archive)
    elif not archive.is_dir():
        raise UsageError("The archive is not a folder.", archive, "Give the folder of the products.")
    archive, home = archive.resolve(), dataset.resolve()
    listed = read_tile_list(Path(config.scan.manifest)) if config.scan.manifest else None
    delete_partials(home / WORK)
    recover(dataset)
    pins = {} if config.plan.replace_versions else pinned(dataset)
    try:
        skipped: Counter[str] = Counter()
        there = find_products(archive, home / LISTINGS, skipped)
        if skipped:
            say(f"scan: {told(skipped)}")
        with watched(executor, archive, dataset, _paths(there)) as watching:
            run = _ScanRun(archive, home, ScanSettings(config.scan, held(like or dataset)), watching)
            found, bad = _named(run, there)
            if listed is not None:
                names = [item.name for item in (*found, *bad) if item.name]
                found, bad = _only(listed, found, bad)
                refuse_unlisted(listed.values(), names, len(found) + len(bad), config.scan.manifest)
            _say_unknown(config.scan.accept, found)
            tiles = {item.name.tile_id for item in (*found, *bad) if item.name}
            refuse_gone(needed, tiles, archive, listed is not None)
            rows = [row_of_problem(item, record) for item, record in bad.items()]
            rows += _read(run, candidates(found, pins))
    finally:
        shutil.rmtree(home / SCRATCH, ignore_errors=True)
    tiles = TILES.frame(sorted(rows, key=_row_order))
    if needed:
        refuse_unusable(archive, tiles)
    return merge(dataset, tiles)


def scan_product(
    archive: Path, dataset: Path, item: Found, settings: ScanConfig, unpack_cache: UnpackCache | None = None
) -> None:
    """Task: read one product; write its mask, then its record.

    Args:
        archive: folder of the products.
        dataset: folder of the dataset.
        item: the product.
        settings: the section `scan`.
        unpack_cache: cache of unpacked archives that the tasks share.

    Raises:
        ProductError: it cannot be used. The caller writes the record of that, after checking the archive.
    """
    assert item.name is not None
    with open_product(archive, item.path, dataset / SCRATCH, unpack_cache=unpack_cache) as product:
        row, coded = inspect_product(product, item.name, settings)
    mask.save(mask_path(dataset, item.name.product_id), coded)
    save_record(dataset, item, stamp_of(item, settings), Record(row=row))


def identify_product(
    archive: Path, dataset: Path, item: Found, unpack_cache: UnpackCache | None = None
) -> ProductName:
    """Task: find the name of a product whose file names do not have it. For the arguments see `scan_product`.

    Raises:
        ProductError: the name cannot be found.
    """
    with open_product(archive, item.path, dataset / SCRATCH, (METADATA,), unpack_cache) as product:
        return identify(product)


def _run_tasks(
    run: _ScanRun,
    stage: str,
    function: Callable[..., T],
    items: Mapping[str, Found],
    more: Callable[[Found], tuple[Any, ...]] = lambda _: (),
) -> Iterator[tuple[str, T | Failure]]:
    """Run a task for each product, by key. One pass over a tar of products unpacks those of all tasks.

    The tasks of a tar share its unpacked products as far as the disk has room. Each is deleted when its task has ended.
    """
    nested = {item.path: 1 for item in items.values() if item.kind == "tar" and INSIDE in item.path}
    unpack_cache = UnpackCache(run.dataset / SCRATCH / UNPACKED, nested)
    shutil.rmtree(
        unpack_cache.folder, ignore_errors=True
    )  # what an earlier step released may be needed again
    tasks = {
        key: (run.archive, run.dataset, item, *more(item), unpack_cache.only([item.path]))
        for key, item in items.items()
    }
    for key, outcome in run.executor.run(stage, function, tasks):
        unpack_cache.release(items[key].path)
        yield key, outcome


def _paths(found: list[Found]) -> list[str]:
    return [item.path for item in found if item.problem is None]


def _named(run: _ScanRun, found: list[Found]) -> tuple[list[Found], Bad]:
    """Products that have a name and may be read, and the others with records of their problems."""
    nameless = {item.path: item for item in found if item.name is None and item.problem is None}
    good = [item for item in found if item.name is not None and item.problem is None]
    bad = {item: Record.of_error(item.problem, run.archive) for item in found if item.problem is not None}
    for path, outcome in _run_tasks(run, "identify", identify_product, nameless):
        if isinstance(outcome, Failure):
            bad[nameless[path]] = Record.of_failure(outcome, run.archive)
        else:
            good.append(replace(nameless[path], name=outcome))
    for item in good:
        if item.name is not None and item.name.level != LEVEL:
            error = WrongLevelError(f"This is an {item.name.level} product.", item.path)
            bad[item] = Record.of_error(error, run.archive)
    return [item for item in good if item not in bad], bad


def _only(listed: dict[str, Listed], found: list[Found], bad: Bad) -> tuple[list[Found], Bad]:
    """The products on a tile list; reports listed tiles that are not there."""

    def asked(item: Found) -> bool:
        return (
            item.name is not None
            and item.name.tile_id in listed
            and listed[item.name.tile_id].takes(item.name)
        )

    found, bad = list(filter(asked, found)), {item: record for item, record in bad.items() if asked(item)}
    absent = missing(listed, [item.name for item in (*found, *bad) if item.name])
    for line in absent:
        say(f"scan: not in the archive: {line.tile_id} {line.version}".rstrip())
    if absent:
        say(f"scan: {len(absent)} of {len(listed)} listed tiles are not in the archive")
    return found, bad


def _say_unknown(accept: tuple[str, ...], found: list[Found]) -> None:
    """Report accepted tiles that are not there; otherwise a misspelt name would be ignored silently."""
    if unknown := sorted(tiles_of(accept) - {item.name.tile_id for item in found if item.name}):
        say(f"scan: scan.accept names tiles that are not in the archive: {', '.join(unknown)}")


def _read(run: _ScanRun, tiles: Mapping[str, list[Found]]) -> list[dict[str, Any]]:
    """Read the products of each tile in order of preference until one is sound; returns the rows."""
    records: dict[str, list[Record]] = {tile: [] for tile in tiles}
    for turn in range(max(map(len, tiles.values()), default=0)):
        waiting = {
            tile: items[turn]
            for tile, items in tiles.items()
            if turn < len(items) and not any(record.sound for record in records[tile])
        }
        for tile, record in _read_all(run, waiting, turn).items():
            records[tile].append(record)
    return [
        row
        for tile, items in tiles.items()
        for row in rows_of_tile(items, records[tile], _of_other_quantity(run, items[len(records[tile]) :]))
    ]


def _of_other_quantity(run: _ScanRun, items: list[Found]) -> dict[Found, Record]:
    """The products that an earlier scan has read, for either quantity, and that have another quantity."""
    known: dict[Found, Record] = {}
    correction = run.settings.chosen.correction
    opposite = run.settings.chosen.model_copy(update={"correction": OPPOSITE[correction]})
    for item in items:
        refused = run.settings.record(run.dataset, item)
        taken = replace(run.settings, chosen=opposite).record(run.dataset, item)
        if refused is not None and refused.error_class == OtherCorrectionError.__name__:
            known[item] = refused
        elif taken is not None and taken.sound:
            try:
                check_correction(taken.row["correction"], correction, item.path)
            except OtherCorrectionError as error:
                known[item] = Record.of_error(error, run.archive)
    return known


def _read_all(run: _ScanRun, waiting: Mapping[str, Found], turn: int) -> dict[str, Record]:
    """Records of one product per tile, read now or earlier."""
    again = f" again {turn}" if turn else ""  # keys of tasks must be unique in all turns
    known = {tile: run.settings.record(run.dataset, item) for tile, item in waiting.items()}
    unread = {f"{tile}{again}": tile for tile, record in known.items() if record is None or not record.final}
    items = {key: waiting[tile] for key, tile in unread.items()}
    outcomes = _run_tasks(run, "scan", scan_product, items, lambda item: (run.settings.of(item),))
    for key, outcome in track(outcomes, "scan", len(items)):
        if isinstance(outcome, Failure):
            item = items[key]
            stamp = stamp_of(item, run.settings.of(item))
            save_record(run.dataset, item, stamp, Record.of_failure(outcome, run.archive))
    return {tile: _written(run, item) for tile, item in waiting.items()}


def _written(run: _ScanRun, item: Found) -> Record:
    record = run.settings.record(run.dataset, item)
    if record is None:
        raise UsageError(
            "The results of a worker are missing.",
            run.dataset / WORK,
            "Put the dataset on a disk that all workers share.",
        )
    return record


def _row_order(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["tile_id"] or "", row["product_id"], row["path"]
