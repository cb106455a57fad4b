"""Pairs of locations that share ground, on one lattice or across two, among millions of locations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import shapely

from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import PIXEL, WINDOW, bounds_of
from spectralearth_build.overlap.resample import transformer

Integers = npt.NDArray[np.int64]
Windows = npt.NDArray[np.int32]
"""epsg, lattice_col and lattice_row of locations, int32 [location, 3]."""

_SLACK_M2 = PIXEL**2
"""Area that windows of different zones may share, because their edges are curves in the other zone."""
_STEP = 500.0
_BITS = 25
"""Bits of the number of a row or column of cells as large as a window, plus `_MIDDLE`."""
_MIDDLE = 1 << (_BITS - 1)
_PER_DEGREE = 4
"""Cells per degree in which zones are looked up; a window is smaller than a cell up to 80 degrees of latitude."""
_AT_ONCE = 1 << 16


def sharing_ground(windows: Windows) -> list[tuple[int, int]]:
    """Return the pairs of locations that share ground, at least a pixel, the smaller number first."""
    return sorted({*_within_lattices(windows), *_across_lattices(windows)})


def outlines(windows: Windows) -> npt.NDArray[np.object_]:
    """Return windows as polygons in longitude and latitude."""
    result = np.empty(len(windows), object)
    for epsg in np.unique(windows[:, 0]):
        rows = np.flatnonzero(windows[:, 0] == epsg)
        result[rows] = to_lonlat(_squares(windows[rows]), int(epsg))
    return result


def _within_lattices(windows: Windows) -> Iterator[tuple[int, int]]:
    """Yield pairs on one lattice. Windows that share a pixel are in the same cell or in cells that touch."""
    for epsg in np.unique(windows[:, 0]):
        rows = np.flatnonzero(windows[:, 0] == epsg)
        place = windows[rows, 1:].astype(np.int64)
        cells = ((place[:, 0] // WINDOW + _MIDDLE) << _BITS) + place[:, 1] // WINDOW + _MIDDLE
        order = np.argsort(cells, kind="stable")
        rows, place, cells = rows[order], place[order], cells[order]
        for offset in (0, 1, (1 << _BITS) - 1, 1 << _BITS, (1 << _BITS) + 1):
            for a, b in _joined(cells, offset):
                near = (np.abs(place[a] - place[b]) < WINDOW).all(axis=1)
                pairs = np.sort(np.stack([rows[a[near]], rows[b[near]]], axis=1), axis=1)
                yield from map(tuple, pairs.tolist())


def _joined(cells: Integers, offset: int) -> Iterator[tuple[Integers, Integers]]:
    """Yield places of all pairs in cells that differ by an offset, of which 0 is every pair of one cell once.

    Args:
        cells: numbers of cells, ascending.
        offset: difference of the numbers, not negative.
    """
    for first in range(0, len(cells), _AT_ONCE):
        some = cells[first : first + _AT_ONCE]
        own = np.arange(first, first + len(some))
        start = np.searchsorted(cells, some + offset) if offset else own + 1
        count = np.searchsorted(cells, some + offset, "right") - start
        if count.any():
            a = np.repeat(own, count)
            yield a, np.arange(len(a)) + np.repeat(start - np.cumsum(count) + count, count)


def _across_lattices(windows: Windows) -> Iterator[tuple[int, int]]:
    rows = _near_other_zones(windows)
    epsg, shapes = windows[rows, 0], outlines(windows[rows])
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    chosen = (first < second) & (epsg[first] != epsg[second])
    for i, j in zip(rows[first[chosen]].tolist(), rows[second[chosen]].tolist(), strict=True):
        if _shared_m2(windows[i], windows[j]) > _SLACK_M2:
            yield i, j


def _near_other_zones(windows: Windows) -> Integers:
    """Return the windows that touch a cell which windows of other zones touch, too."""
    least = np.full((180 * _PER_DEGREE, 360 * _PER_DEGREE), np.iinfo(np.int32).max, np.int32)
    most = np.full_like(least, np.iinfo(np.int32).min)
    cells = np.empty((len(windows), 4), np.int16)
    for first in range(0, len(windows), _AT_ONCE):
        bounds = np.nan_to_num(shapely.bounds(outlines(windows[first : first + _AT_ONCE])))
        place = np.floor((bounds + [180, 90, 180, 90]) * _PER_DEGREE)
        cells[first : first + _AT_ONCE] = np.clip(place, 0, np.tile(least.shape[::-1], 2) - 1)
    west, south, east, north = cells.T
    wide = np.flatnonzero((east - west > 1) | (north - south > 1))
    corners = [(lat, lon) for lat in (south, north) for lon in (west, east)]
    for corner in corners:
        np.minimum.at(least, corner, windows[:, 0])
        np.maximum.at(most, corner, windows[:, 0])
    areas = [slice_of(cells[row]) for row in wide]
    for row, area in zip(wide, areas, strict=True):
        least[area] = np.minimum(least[area], windows[row, 0])
        most[area] = np.maximum(most[area], windows[row, 0])
    several = least < most
    near = np.zeros(len(windows), np.bool_)
    for corner in corners:
        near |= several[corner]
    near[wide] = [several[area].any() for area in areas]
    return np.flatnonzero(near)


def slice_of(cells: npt.NDArray[np.int16]) -> tuple[slice, slice]:
    """Return the cells between west, south, east and north."""
    west, south, east, north = map(int, cells)
    return slice(south, north + 1), slice(west, east + 1)


def _shared_m2(a: Windows, b: Windows) -> float:
    """Return the area that two windows on different lattices share, in the projection of the first."""
    project = transformer(int(b[0]), int(a[0]))
    moved = shapely.transform(
        shapely.segmentize(_squares(b), _STEP),
        lambda p: np.stack(project.transform(p[:, 0], p[:, 1]), axis=1),
    )
    return float(shapely.area(shapely.intersection(_squares(a), moved)))


def _squares(windows: Windows) -> npt.NDArray[np.object_]:
    """Return windows in metres of their zones."""
    squares: npt.NDArray[np.object_] = shapely.box(*bounds_of(windows[..., 2], windows[..., 1]))
    return squares
