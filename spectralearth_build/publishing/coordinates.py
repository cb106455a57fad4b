"""The coordinate arrays of a store, computed from the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from spectralearth_build.store.planned_patches import Integers, location_ids
from spectralearth_build.tables import PATCHES, TILES

_AT_ONCE = 1 << 17
"""Rows of which values are made at a time."""


def coordinates_of(planned: Planned, patches: Path) -> Iterator[tuple[str, schema.Coordinate]]:
    """Yield name and content of each coordinate array. Tiles and rows are those of written patches.

    Args:
        planned: the plan.
        patches: folder of patches.parquet with its final status.
    """
    bands = nominal()
    yield from schema.band_coordinates(bands.wavelength_nm, bands.fwhm_nm).items()
    place = _places(planned, patches)
    names, number = _tiles(planned, place)
    yield "tile_id", schema.tile_names(names)
    for name in ("wavelength_nm", "fwhm_nm"):
        yield f"tile_{name}", schema.tile_bands(name, _of_tiles(planned, name, names))
    windows, tiles = planned.live.windows, planned.live.tiles
    yield "epsg", _filled("epsg", place, lambda some: windows[some, 0])
    yield "west", _filled("west", place, lambda some: corner_of(windows[some, 2], windows[some, 1])[0])
    yield "north", _filled("north", place, lambda some: corner_of(windows[some, 2], windows[some, 1])[1])
    yield "acquired", _acquired(len(place), patches)
    locations = schema.Texts(len(place), lambda: _locations(windows, place))
    yield "location", replace(schema.row_coordinate("location", 0), values=locations)
    yield "tile_index", _filled("tile_index", place, lambda some: number[tiles[some]])


def _places(planned: Planned, patches: Path) -> npt.NDArray[np.int32]:
    """Return the number in the plan of the patch in each row of the store; -1: no patch was written; int32 [row]."""
    place = np.full(planned.shards * planned.shard_rows, -1, np.int32)
    for batch in _written(patches, "store_row"):
        rows = batch["store_row"].to_numpy()
        place[rows] = np.searchsorted(planned.live.rows, rows)
    return place


def _written(patches: Path, *columns: str) -> Iterator[pa.RecordBatch]:
    """Yield columns of the written patches."""
    for batch in PATCHES.batches(patches, [*columns, "status"]):
        yield batch.filter(pc.equal(batch["status"], PatchStatus.WRITTEN))


def _tiles(planned: Planned, place: npt.NDArray[np.int32]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return the tiles of the rows, sorted by name, and the place among them of each name of the plan."""
    used = np.zeros(len(planned.live.names), np.bool_)
    for first in range(0, len(place), _AT_ONCE):
        here = place[first : first + _AT_ONCE]
        used[planned.live.tiles[here[here >= 0]]] = True
    numbers = sorted(np.flatnonzero(used).tolist(), key=planned.live.names.__getitem__)
    number = np.full(len(used), -1, np.int32)
    number[numbers] = np.arange(len(numbers))
    return [planned.live.names[each] for each in numbers], number


def _filled(
    name: str, place: npt.NDArray[np.int32], values_of: Callable[[npt.NDArray[np.int32]], npt.NDArray[Any]]
) -> schema.Coordinate:
    """Return an array along ``row``.

    Args:
        name: name of the array.
        place: output of `_places`.
        values_of: returns the values of patches, given their numbers in the plan.
    """
    coordinate = schema.row_coordinate(name, len(place))
    assert isinstance(coordinate.values, np.ndarray)
    for first in range(0, len(place), _AT_ONCE):
        here = place[first : first + _AT_ONCE]
        there = here >= 0
        coordinate.values[first : first + _AT_ONCE][there] = values_of(here[there])
    return coordinate


def _acquired(rows: int, patches: Path) -> schema.Coordinate:
    """Return the array ``acquired``, in microseconds since 1970."""
    coordinate = schema.row_coordinate("acquired", rows)
    assert isinstance(coordinate.values, np.ndarray)
    for batch in _written(patches, "store_row", "acquired"):
        coordinate.values[batch["store_row"].to_numpy()] = batch["acquired"].cast(pa.int64()).to_numpy()
    return coordinate


def _locations(windows: Integers, place: npt.NDArray[np.int32]) -> Iterator[pa.StringArray]:
    """Yield the array ``location`` in pieces."""
    for first in range(0, len(place), _AT_ONCE):
        here = place[first : first + _AT_ONCE]
        yield pc.if_else(here >= 0, location_ids(windows[here]), "")


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
