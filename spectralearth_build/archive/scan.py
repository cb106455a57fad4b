"""The scan stage: from a folder of products to the tile table and masks."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd

from spectralearth_build import mask
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
from spectralearth_build.archive.presence import require_archive
from spectralearth_build.archive.product import open_product
from spectralearth_build.archive.record import Record, load_record, mask_path, save_record, stamp_of
from spectralearth_build.archive.tile_list import Listed, missing, read_tile_list
from spectralearth_build.archive.tile_rows import merge, row_of_problem, rows_of_tile
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

LEVEL = "L2A"
Bad = dict[Found, Record]


@dataclass(frozen=True)
class _ScanRun:
    """What all steps of a scan share."""

    archive: Path
    """Folder of the products."""
    dataset: Path
    """The dataset."""
    settings: ScanConfig
    executor: Executor


def scan(
    archive: Path, dataset: Path, config: Config, executor: Executor, needed: Collection[str] = ()
) -> gpd.GeoDataFrame:
    """Find the products of an archive, read those that count, and write the tile table.

    Of each tile the newest sound product is read, once; copies and older versions are not. A version of which the
    dataset has patches stays the one that counts, unless `plan.replace_versions` is set. What was read before and did
    not change is not read again, and if nothing changed at all, nothing is written.

    Args:
        archive: folder of the products; never written to.
        dataset: folder of the dataset; gets tiles.parquet, and in work/ a mask and a record of each product read.
        config: settings; `scan` counts, and `plan.replace_versions`.
        executor: where products are read.
        needed: tile_id of tiles that must be there, since patches were cut of them; asked before anything is read.

    Returns:
        The tile table: every product found has one row. Sound ones are `eligible` and have, until they are planned,
        the status `unused`.

    Raises:
        UsageError: the archive is no folder, or the tile list cannot be read.
        ArchiveError: the archive is away, or goes away meanwhile.
        NothingFoundError: nothing of a tile list is there, or nothing can be used any more.
        PlanChangedError: tiles that the dataset was built from are not there.
    """
    if needed:
        require_archive(archive)
    elif not archive.is_dir():
        raise UsageError("The archive is not a folder.", archive, "Give the folder that holds the products.")
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
            run = _ScanRun(archive, home, config.scan, watching)
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


def scan_product(archive: Path, dataset: Path, item: Found, settings: ScanConfig) -> None:
    """Task: read one product, write its mask, then its record.

    Raises:
        ProductError: it cannot be used; the record of that is written by who started the task, after a second look.
    """
    assert item.name is not None
    with open_product(archive, item.path, dataset / SCRATCH) as product:
        row, coded = inspect_product(product, item.name, settings)
    mask.save(mask_path(dataset, item.name.product_id), coded)
    save_record(dataset, item, stamp_of(item, settings), Record(row=row))


def identify_product(archive: Path, dataset: Path, item: Found) -> ProductName:
    """Task: the name of a product whose files do not say it.

    Raises:
        ProductError: nothing says it.
    """
    with open_product(archive, item.path, dataset / SCRATCH, layers=(METADATA,)) as product:
        return identify(product)


def _paths(found: list[Found]) -> list[str]:
    return [item.path for item in found if item.problem is None]


def _named(run: _ScanRun, found: list[Found]) -> tuple[list[Found], Bad]:
    """Products that have a name and may be read, and the others with what is wrong with them."""
    nameless = {item.path: item for item in found if item.name is None and item.problem is None}
    good = [item for item in found if item.name is not None and item.problem is None]
    bad = {item: Record.of_error(item.problem, run.archive) for item in found if item.problem is not None}
    tasks = {path: (run.archive, run.dataset, item) for path, item in nameless.items()}
    for path, outcome in run.executor.run("identify", identify_product, tasks):
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
    """What a tile list asks for; says what is not there."""

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
    """Say which tiles are accepted and not there: a wrong name would do nothing without a word."""
    if unknown := sorted(tiles_of(accept) - {item.name.tile_id for item in found if item.name}):
        say(f"scan: scan.accept names tiles that are not in the archive: {', '.join(unknown)}")


def _read(run: _ScanRun, tiles: Mapping[str, list[Found]]) -> list[dict[str, Any]]:
    """Of each tile, read products in order of preference until one is sound."""
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
    """The products that an earlier scan has read, whatever it asked for, and that hold another quantity."""
    known: dict[Found, Record] = {}
    settings = run.settings
    opposite = settings.model_copy(update={"correction": OPPOSITE[settings.correction]})
    for item in items:
        refused = load_record(run.dataset, item, stamp_of(item, settings))
        taken = load_record(run.dataset, item, stamp_of(item, opposite))
        if refused is not None and refused.error_class == OtherCorrectionError.__name__:
            known[item] = refused
        elif taken is not None and taken.sound:
            try:
                check_correction(taken.row["correction"], settings.correction, item.path)
            except OtherCorrectionError as error:
                known[item] = Record.of_error(error, run.archive)
    return known


def _read_all(run: _ScanRun, waiting: Mapping[str, Found], turn: int) -> dict[str, Record]:
    """Records of one product per tile, read now or before."""
    stamps = {tile: stamp_of(item, run.settings) for tile, item in waiting.items()}
    again = f" again {turn}" if turn else ""  # keys of tasks must differ from those of the turn before
    known = {tile: load_record(run.dataset, item, stamps[tile]) for tile, item in waiting.items()}
    unread = {f"{tile}{again}": tile for tile, record in known.items() if record is None or not record.final}
    tasks = {key: (run.archive, run.dataset, waiting[tile], run.settings) for key, tile in unread.items()}
    for key, outcome in track(run.executor.run("scan", scan_product, tasks), "scan", len(tasks)):
        if isinstance(outcome, Failure):
            tile = unread[key]
            save_record(run.dataset, waiting[tile], stamps[tile], Record.of_failure(outcome, run.archive))
    return {tile: _written(run.dataset, item, stamps[tile]) for tile, item in waiting.items()}


def _written(dataset: Path, item: Found, stamp: str) -> Record:
    record = load_record(dataset, item, stamp)
    if record is None:
        raise UsageError(
            "Results of a worker are not here.", dataset / WORK, "Put the dataset on a disk that all share."
        )
    return record


def _row_order(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["tile_id"] or "", row["product_id"], row["path"]
