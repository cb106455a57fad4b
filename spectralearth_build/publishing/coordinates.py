"""The coordinate arrays of a store, computed from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.archive.bands import BANDS, nominal
from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.lattice import corner_of
from spectralearth_build.store import schema
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.planned_patches import location_ids
from spectralearth_build.tables import PATCHES, TILES

_AT_ONCE = 1 << 17
"""Rows whose location is made at a time."""


def coordinates_of(planned: Planned, patches: Path) -> Iterator[tuple[str, schema.Coordinate]]:
    """Yield name and content of each coordinate array. Tiles and rows are those of written patches.

    Args:
        planned: the plan.
        patches: folder of patches.parquet with its final status.
    """
    bands = nominal()
    yield from schema.band_coordinates(bands.wavelength_nm, bands.fwhm_nm).items()
    rows, acquired = _written(patches)
    place = np.searchsorted(planned.live.rows, rows)
    used, tile = np.unique(planned.live.tiles[place], return_inverse=True)
    names = np.array([planned.live.names[number] for number in used], object)
    order = np.argsort(names)
    tile_ids: list[str] = names[order].tolist()
    yield "tile_id", schema.tile_names(tile_ids)
    for name in ("wavelength_nm", "fwhm_nm"):
        yield f"tile_{name}", schema.tile_bands(name, _of_tiles(planned, name, tile_ids))
    windows = planned.live.windows
    west, north = corner_of(windows[:, 2], windows[:, 1])
    index = np.argsort(order).astype(np.int32)
    for name, values in (("epsg", windows[:, 0]), ("west", west), ("north", north)):
        yield name, _filled(planned, name, rows, values[place])
    yield "acquired", _filled(planned, "acquired", rows, acquired)
    yield "location", _locations(planned, rows, place)
    yield "tile_index", _filled(planned, "tile_index", rows, index[tile])


def _written(patches: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows of the written patches and their times in microseconds since 1970, both int64 [patch]."""
    rows, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in PATCHES.batches(patches, ["store_row", "acquired", "status"]):
        there = batch.filter(pc.equal(batch["status"], PatchStatus.WRITTEN))
        rows.append(there["store_row"].to_numpy())
        times.append(there["acquired"].cast(pa.int64()).to_numpy())
    return np.concatenate(rows), np.concatenate(times)


def _filled(
    planned: Planned, name: str, rows: npt.NDArray[np.int64], values: npt.NDArray[Any]
) -> schema.Coordinate:
    """Return an array along ``row`` with values in some rows."""
    coordinate = schema.row_coordinate(name, planned.shards * planned.shard_rows)
    assert isinstance(coordinate.values, np.ndarray)
    coordinate.values[rows] = values
    return coordinate


def _locations(
    planned: Planned, rows: npt.NDArray[np.int64], place: npt.NDArray[np.int64]
) -> schema.Coordinate:
    """Return the array ``location``."""
    count = planned.shards * planned.shard_rows
    of_row = np.full(count, -1, np.int32)
    of_row[rows] = place
    parts = []
    for first in range(0, count, _AT_ONCE):
        here = of_row[first : first + _AT_ONCE]
        names = location_ids(planned.live.windows[here])
        parts.append(pc.if_else(here >= 0, names, ""))
    texts = pa.chunked_array(parts, pa.string()).combine_chunks()
    return replace(schema.row_coordinate("location", 0), values=texts)


def _of_tiles(planned: Planned, name: str, tile_ids: list[str]) -> npt.NDArray[np.float64]:
    """Return the bands of tiles from a column of tiles.parquet, float64 [tile, 202]."""
    values = np.full((len(tile_ids), BANDS), np.nan)
    places = pa.array(tile_ids, pa.string())
    for batch in TILES.batches(planned.folders[TILES.file], ["tile_id", "eligible", name]):
        place = pc.index_in(batch["tile_id"], places)
        some = pc.and_(batch["eligible"].fill_null(False), pc.is_valid(place))
        lists = batch[name].filter(some)
        values[place.filter(some).to_numpy()] = lists.flatten().to_numpy().reshape(len(lists), BANDS)
    return values
