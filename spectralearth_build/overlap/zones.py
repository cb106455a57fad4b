"""The UTM zone that a window belongs to: the regular 6 degree zone and hemisphere of its centre.

So a place has one identity: it belongs to the same zone even in products of a neighbouring zone. The exceptions of the
UTM grid around Norway and Svalbard are ignored; a product delivered in such a zone is resampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.overlap.lattice import METRES_PER_DEGREE, WINDOW, col_at, northing
from spectralearth_build.overlap.region import Region
from spectralearth_build.overlap.resample import transformer

WGS84 = 4326
_KNOT = 64
"""Lines between two points where a zone's edge is computed."""


def zones_of(footprint: BaseGeometry) -> tuple[int, ...]:
    """EPSG codes of the zones that a footprint in longitude and latitude intersects, sorted."""
    found: set[int] = set()
    for part in shapely.get_parts(footprint):
        west, south, east, north = part.bounds
        first, last = (min(59, max(0, int(np.floor((lon + 180) / 6)))) for lon in (west + 1e-9, east - 1e-9))
        hemispheres = ([32600] if north > 0 else []) + ([32700] if south < 0 else [])
        found.update(base + zone + 1 for zone in range(first, last + 1) for base in hemispheres)
    return tuple(sorted(found))


def owned(epsg: int, line: int, stop_line: int, size: int = WINDOW) -> Region:
    """Anchors in lines [line, stop_line) whose window has its centre in the zone ``epsg``."""
    lines = np.arange(line, stop_line)
    y = northing(lines + size / 2)
    lines = lines[y >= 0 if epsg < 32700 else y < 10_000_000]
    if len(lines) == 0:
        return Region.empty()
    # The knots do not depend on the lines asked for. Between them, linear interpolation errs by a centimetre.
    knots = np.arange(lines[0] // _KNOT, lines[-1] // _KNOT + 2) * _KNOT
    y = northing(knots + size / 2)
    middle = 6 * (epsg % 100) - 183
    starts, stops = (
        np.ceil(col_at(np.interp(lines, knots, _meridian(epsg, middle + side, y))) - size / 2)
        for side in (-3, 3)
    )
    return Region(np.stack([lines, starts, stops], axis=1).astype(np.int32))


def _meridian(epsg: int, longitude: float, y: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Eastings where a meridian crosses northings, by Newton's iteration on the latitude, to less than a millimetre."""
    _, latitude = transformer(epsg, WGS84).transform(np.full_like(y, 500_000), y)
    for _ in range(5):
        x, reached = transformer(WGS84, epsg).transform(np.full_like(y, longitude), latitude)
        latitude = latitude + (y - reached) / METRES_PER_DEGREE
    return np.asarray(x, np.float64)
