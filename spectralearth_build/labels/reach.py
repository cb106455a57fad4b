"""Which of many rasters can reach a patch at all, so that a task need not open the tiles of a whole continent."""

from __future__ import annotations

import math

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection

from spectralearth_build.labels.locate import Georeferenced

_MARGIN = 0.1
"""Degrees around a raster: outlines in other projections are curves."""
_POLAR = 80.0
"""Nearer to a pole, a raster counts as all around it."""
_POINTS, _GRID = 101, 33
WORLD = shapely.box(-180, -90, 180, 90)
Box = tuple[float, float, float, float]
"""West, south, east, north."""


def reach(raster: Georeferenced) -> shapely.Geometry:
    """Longitudes and latitudes that a raster lies within, as boxes cut at the antimeridian.

    The whole world where its projection does not tell, such as beyond the edge of what it can show.
    """
    (height, width), place = raster.shape, raster.transform
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)])
    x = place.a * corners[:, 0] + place.b * corners[:, 1] + place.c
    y = place.d * corners[:, 0] + place.e * corners[:, 1] + place.f
    box = float(x.min()), float(y.min()), float(x.max()), float(y.max())
    if raster.crs.is_geographic:
        return _boxes(*box) if _usual(raster.crs) else WORLD
    to_degrees = Transformer.from_crs(raster.crs, 4326, always_xy=True)
    if not _invertible(to_degrees, box, math.sqrt(abs(place.determinant))):
        return WORLD
    return _boxes(*to_degrees.transform_bounds(*box, densify_pts=_POINTS))


def _usual(crs: CRS) -> bool:
    """Whether a geographic system counts in degrees from Greenwich."""
    degrees = math.isclose(crs.axis_info[0].unit_conversion_factor, math.radians(1))
    return degrees and crs.prime_meridian is not None and crs.prime_meridian.longitude == 0


def _invertible(to_degrees: Transformer, box: Box, step: float) -> bool:
    """Whether points of a box come back when they are projected there and back again, to a pixel."""
    x, y = np.meshgrid(np.linspace(box[0], box[2], _GRID), np.linspace(box[1], box[3], _GRID))
    again = to_degrees.transform(*to_degrees.transform(x, y), direction=TransformDirection.INVERSE)
    return bool((np.hypot(again[0] - x, again[1] - y) < step).all())  # what is not finite is not less


def _boxes(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    wide = (east - west) % 360 if east < west else east - west
    low, high = max(-90.0, south - _MARGIN), min(90.0, north + _MARGIN)
    if wide + 2 * _MARGIN >= 360 or max(high, -low) > _POLAR:
        return shapely.box(-180, low, 180, high)
    start = (west - _MARGIN + 180) % 360 - 180
    stop = start + wide + 2 * _MARGIN
    parts = [shapely.box(start, low, min(stop, 180), high)]
    if stop > 180:
        parts.append(shapely.box(-180, low, stop - 360, high))
    return shapely.union_all(parts)
