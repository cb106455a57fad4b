"""A planned dataset of any size: real tables, plan and commit records, and shards of one byte.

Each tile has one shard of 62 patches. Three tiles share 124 locations, so half of these have two dates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from spectralearth_build.archive.bands import BANDS, nominal
from spectralearth_build.config import Config
from spectralearth_build.files import make_folder, write_bytes
from spectralearth_build.geoparquet import NOWHERE, extent_of_wkb
from spectralearth_build.layout import PLAN, PatchStatus, TileStatus, mask_name, shard_path
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import WINDOW, bounds_of
from spectralearth_build.plan.fingerprint import settings_of
from spectralearth_build.plan_document import Generation, Inputs, PlanDocument
from spectralearth_build.store.commit import Commit
from spectralearth_build.store.planned_patches import location_ids
from spectralearth_build.store.statistics import BandStatistics
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

Integers = npt.NDArray[np.int64]

TILE_PATCHES, SHARD_ROWS = 62, 64
SHARED = 2 * TILE_PATCHES
"""Locations of three tiles."""
_SHIFT = np.array([0, TILE_PATCHES, TILE_PATCHES // 2])
"""First location of each of the three tiles."""
_ACROSS, _ZONES = 100, 120
_WEST = 10_267
"""Column of the westernmost windows, so that all lie inside their zone up to 40 degrees of latitude."""
_AT_ONCE = 2_000
"""Tiles that are made at a time."""
_ID = "simulated"
SHARD = b"x"
"""Content of every shard."""
_PIXELS = TILE_PATCHES * WINDOW * WINDOW


def simulate(dataset: Path, patches: int, cut: bool = True) -> Path:
    """Make a dataset that is planned and cut, but not published, unless it is there already.

    Args:
        dataset: new folder.
        patches: about how many patches; rounded to whole groups of three tiles.
        cut: whether to write shards and commit records.
    """
    tiles = 3 * max(1, round(patches / TILE_PATCHES / 3))
    if (dataset / PLAN).is_file():
        return dataset
    make_folder(dataset)
    for table, parts in (
        (TILES, partial(_tiles, tiles)),
        (LOCATIONS, partial(_locations, tiles // 3 * SHARED)),
        (PATCHES, partial(_patches, tiles)),
    ):
        extents = (extent_of_wkb(part["geometry"]) for part in parts()) if table.spatial else ()
        table.write_parts(parts(), dataset, (_ID,), reduce(or_, extents, NOWHERE))
    OVERLAPS.write(OVERLAPS.frame([]), dataset, (_ID,))
    TUPLES.write(TUPLES.frame([]), dataset, (_ID,))
    if cut:
        _commits(dataset, tiles)
    settings = settings_of(settings_used())
    products = {_tile(t): [_product(t), _hash(t)] for t in range(tiles)}
    grown = Generation(_ID, 0, tiles, tuple(products), (), tiles * TILE_PATCHES)
    plan = PlanDocument(_ID, Inputs(settings=settings, tiles=products), (grown,))
    write_bytes(dataset / PLAN, plan.encode())
    return dataset


def settings_used() -> Config:
    """Return the settings of a simulated dataset."""
    config = Config()
    return config.model_copy(update={"store": config.store.model_copy(update={"shard_rows": SHARD_ROWS})})


def _tiles(count: int) -> Iterator[pa.Table]:
    bands = nominal()
    index = np.arange(BANDS, dtype=np.int32)
    for first in range(0, count, _AT_ONCE):
        tile = np.arange(first, min(first + _AT_ONCE, count))
        numbers: list[int] = tile.tolist()
        windows = _windows(tile // 3 * SHARED + _SHIFT[tile % 3])
        west = -180 + (tile % 3600) / 10
        names = [_tile(t) for t in numbers]
        yield TILES.arrow({
            "product_id": [_product(t) for t in numbers], "tile_id": names,
            "datatake": [name[:-4] for name in names], "tile": np.ones(len(tile), np.int32),
            "version": ["V010402"] * len(tile), "acquired": _time(tile), "processed": _time(tile),
            "epsg": windows[:, 0], "lattice_col": windows[:, 1], "lattice_row": windows[:, 2],
            "height": np.full(len(tile), 1240), "width": np.full(len(tile), 1240),
            "path": [f"2024/{_product(t)}" for t in numbers], "status": [str(TileStatus.USED)] * len(tile),
            "reason": [""] * len(tile), "error_class": [""] * len(tile), "eligible": [True] * len(tile),
            "fingerprint": [_hash(t) for t in numbers], "content": [f'{{"image":"{_hash(t)}"}}' for t in numbers],
            "mask": [mask_name(_product(t)) for t in numbers],
            "band_index": _lists(np.tile(index, len(tile)), len(tile)),
            "wavelength_nm": _lists((bands.wavelength_nm + tile[:, None] % 50 / 100).ravel(), len(tile)),
            "fwhm_nm": _lists(np.tile(bands.fwhm_nm, len(tile)), len(tile)),
            "correction": ["land"] * len(tile), "correction_assumed": [False] * len(tile),
            "geometry": shapely.box(west, 0, west + 0.3, 0.3),
        })  # fmt: skip


def _locations(count: int) -> Iterator[pa.Table]:
    for first in range(0, count, SHARED * _AT_ONCE):
        number = np.arange(first, min(first + SHARED * _AT_ONCE, count))
        windows = _windows(number)
        place = number % SHARED
        both = (place >= _SHIFT[2]) & (place < _SHIFT[2] + TILE_PATCHES)
        squares = shapely.box(*bounds_of(windows[:, 2], windows[:, 1]))
        outlines = np.empty(len(number), object)
        for epsg in np.unique(windows[:, 0]):
            own = windows[:, 0] == epsg
            outlines[own] = to_lonlat(squares[own], int(epsg))
        yield LOCATIONS.arrow({
            "location_id": location_ids(windows), "epsg": windows[:, 0], "lattice_col": windows[:, 1],
            "lattice_row": windows[:, 2], "n": 1 + both, "component": number // SHARED,
            "geometry": pa.array(shapely.to_wkb(outlines), pa.binary()),
        })  # fmt: skip


def _patches(tiles: int) -> Iterator[pa.Table]:
    for first in range(0, tiles, _AT_ONCE):
        tile = np.repeat(np.arange(first, min(first + _AT_ONCE, tiles)), TILE_PATCHES)
        place = np.tile(np.arange(TILE_PATCHES), len(tile) // TILE_PATCHES)
        names = pa.array([_tile(t) for t in range(first, tile[-1] + 1)]).take(pa.array(tile - first))
        datatakes = pc.utf8_slice_codeunits(names, 0, -4)
        locations = location_ids(_windows(tile // 3 * SHARED + _SHIFT[tile % 3] + place))
        size, none = len(tile), np.zeros(len(tile))
        yield PATCHES.arrow({
            "patch_id": pc.binary_join_element_wise(locations, datatakes, "_"), "location_id": locations,
            "tile_id": names, "sources": pa.ListArray.from_arrays(np.arange(size + 1, dtype=np.int32), names),
            "datatake": datatakes, "acquired": _time(tile), "store_row": tile * SHARD_ROWS + place, "shard": tile,
            "generation": np.zeros(size, np.int32), "status": pa.repeat(str(PatchStatus.PLANNED), size),
            "reason": pa.repeat("", size), "resampled": pa.repeat(False, size),
            **{f"{name}_fraction": none for name in ("cloud", "shadow", "haze", "cirrus", "snow", "water")},
            "correction": pa.repeat("land", size), "correction_assumed": pa.repeat(False, size),
        })  # fmt: skip


def _commits(dataset: Path, tiles: int) -> None:
    """Write shards and records without waiting for the disk."""
    make_folder(shard_path(dataset, 0).parent)
    make_folder((dataset / commit_of(0).name).parent)
    for shard in range(tiles):
        commit = commit_of(shard)
        shard_path(dataset, shard).write_bytes(SHARD)
        (dataset / commit.name).write_bytes(commit.encode())


def commit_of(shard: int) -> Commit:
    """Return the record of a simulated shard, always the same."""
    random = np.random.default_rng(shard)
    values = random.integers(500, 4000, BANDS)
    sums = (_PIXELS * values, _PIXELS * values * values + shard, values - 400, 3 * values)
    statistics = BandStatistics(_PIXELS, *(tuple(each.tolist()) for each in sums))
    rows = tuple(range(shard * SHARD_ROWS, shard * SHARD_ROWS + TILE_PATCHES))
    checksums = tuple(random.integers(0, 2**32, TILE_PATCHES).tolist())
    digest = hashlib.sha256(SHARD).hexdigest()
    return Commit(_ID, shard, _tile(shard), rows, (), len(SHARD), digest, statistics, checksums)


def _windows(number: Integers) -> npt.NDArray[np.int32]:
    """Return zone, column and row of locations, int32 [location, 3]: a grid in each zone, north and south."""
    zone, place = number % _ZONES, number // _ZONES
    epsg = np.where(zone < 60, 32601 + zone, 32641 + zone)
    step = WINDOW * (1 + place // _ACROSS)
    row = np.where(zone < 60, step, 333_333 - step)
    return np.stack([epsg, _WEST + WINDOW * (place % _ACROSS), row], axis=1).astype(np.int32)


def _time(tile: Integers) -> pa.Array:
    return pa.array(1_640_995_200_000_000 + tile * 61_000_000, pa.int64()).cast(pa.timestamp("us", "UTC"))


def _lists(values: npt.NDArray[Any], count: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * BANDS, values)


def _tile(number: int) -> str:
    return f"DT{number:010}_001"


def _product(number: int) -> str:
    return f"ENMAP01-____L2A-DT{number:010}_20240708T104407Z_001_V010402_20240709T000000Z"


def _hash(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()
