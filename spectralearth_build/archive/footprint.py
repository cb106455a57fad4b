"""The footprint of a tile: the convex hull of the pixels inside the swath."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box, easting, northing


def footprint(inside: npt.NDArray[np.bool_], box: Box, epsg: int) -> BaseGeometry:
    """Convex hull of the pixels inside the swath, in longitude and latitude, split at the antimeridian.

    Args:
        inside: pixels inside the swath [line, col]; at least one.
        box: the box of the raster on its lattice.
        epsg: EPSG code of the lattice.
    """
    return to_lonlat(hull(inside, box), epsg)


def hull(inside: npt.NDArray[np.bool_], box: Box) -> BaseGeometry:
    """Convex hull of pixels [line, col], as squares, in metres of the UTM zone."""
    lines = np.flatnonzero(inside.any(axis=1))
    first = inside[lines].argmax(axis=1)
    stop = inside.shape[1] - inside[lines, ::-1].argmax(axis=1)
    x = easting(box.col + np.stack([first, stop], axis=1))
    y = northing(box.line + np.stack([lines, lines + 1], axis=1))
    corners = [np.stack([x[:, i], y[:, j]], axis=1) for i in (0, 1) for j in (0, 1)]
    return shapely.convex_hull(shapely.multipoints(np.concatenate(corners)))
