"""Find which of many rasters may reach a patch, so that a task need not open the tiles of a whole continent."""

from __future__ import annotations

import math

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection

from spectralearth_build.labels.locate import Georeferenced

_MARGIN = 0.1
"""Margin around a raster, degrees, because its outline is curved in other projections."""
_POLAR = 80.0
"""Latitude, degrees, from which a raster counts as covering all longitudes."""
_POINTS, _GRID = 101, 33
WORLD = shapely.box(-180, -90, 180, 90)
Box = tuple[float, float, float, float]
"""West, south, east, north."""


def reach(raster: Georeferenced) -> shapely.Geometry:
    """The extent of a raster in longitude and latitude, as boxes that are cut at the antimeridian.

    It is the whole world if the extent cannot be determined, for example beyond the domain of the projection.
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
    """Whether a geographic system is in degrees from Greenwich."""
    degrees = math.isclose(crs.axis_info[0].unit_conversion_factor, math.radians(1))
    return degrees and crs.prime_meridian is not None and crs.prime_meridian.longitude == 0


def _invertible(to_degrees: Transformer, box: Box, step: float) -> bool:
    """Whether projecting points of a box to degrees and back returns them within a pixel."""
    x, y = np.meshgrid(np.linspace(box[0], box[2], _GRID), np.linspace(box[1], box[3], _GRID))
    again = to_degrees.transform(*to_degrees.transform(x, y), direction=TransformDirection.INVERSE)
    return bool((np.hypot(again[0] - x, again[1] - y) < step).all())  # infinite and NaN fail the comparison


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
