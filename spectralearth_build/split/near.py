"""Find windows within a distance of each other, anywhere on Earth.

Corners are converted to points in space, so zones, hemispheres and the antimeridian need no special treatment.
Distances are measured on the plane that touches the Earth between two windows; over a few kilometres, the error is
millimetres.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from spectralearth_build.overlap.lattice import PIXEL, WINDOW, corner_of
from spectralearth_build.overlap.resample import transformer

Floats = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]

SLACK_M = 1.0
"""Tolerance, metres: windows up to this much beyond the distance still count as near, to be safe."""
INNER_M, OUTER_M = 1_910.0, 2_730.0
"""Radii of circles inside and around a window at any scale of its zone (1920 m and 2715 m at scale 1)."""
_WGS84 = 4326
_AXIS_M, _ECCENTRICITY = 6_378_137.0, 0.00669437999014
"""Semi-major axis and squared eccentricity of the WGS84 ellipsoid (NIMA TR8350.2)."""
_AT_ONCE = 1 << 16


def corners(locations: pd.DataFrame) -> Floats:
    """Longitudes and latitudes [location, corner, 2] of the corners of windows, in order around each window.

    Args:
        locations: table with the columns epsg, lattice_col and lattice_row.
    """
    west, north = corner_of(
        *(locations[name].to_numpy(np.float64) for name in ("lattice_row", "lattice_col"))
    )
    size = PIXEL * WINDOW
    x = west[:, None] + [0, size, size, 0]
    y = north[:, None] - [0, 0, size, size]
    found = np.empty((len(locations), 4, 2))
    epsg = locations["epsg"].to_numpy()
    for zone in np.unique(epsg):
        of_zone = epsg == zone
        moved = transformer(int(zone), _WGS84).transform(x[of_zone], y[of_zone])
        found[of_zone] = np.stack(moved, axis=-1)
    return found


def in_space(lonlat: Floats) -> Floats:
    """Convert longitudes and latitudes [..., 2] to points on the ellipsoid [..., 3], metres from the Earth's centre."""
    lon, lat = np.moveaxis(np.radians(lonlat), -1, 0)
    normal = _AXIS_M / np.sqrt(1 - _ECCENTRICITY * np.sin(lat) ** 2)
    return np.stack(
        [
            normal * np.cos(lat) * np.cos(lon),
            normal * np.cos(lat) * np.sin(lon),
            normal * (1 - _ECCENTRICITY) * np.sin(lat),
        ],
        axis=-1,
    )


def near(lonlat: Floats, distance_m: float) -> Pairs:
    """Pairs of windows (i < j) with ground at most ``distance_m`` apart; windows that share ground are 0 m apart.

    Args:
        lonlat: corners of the windows, from `corners`.
        distance_m: largest distance, metres.

    Returns:
        Indices [pair, 2].
    """
    points = in_space(lonlat)
    if len(points) == 0:
        return np.empty((0, 2), np.int64)
    middles, most = points.mean(axis=1), distance_m + SLACK_M
    pairs = cKDTree(middles).query_pairs(most + 2 * OUTER_M, output_type="ndarray").astype(np.int64)
    return np.concatenate(
        [np.empty((0, 2), np.int64), *(_among(points, middles, part, most) for part in _parts(pairs))]
    )


def _among(points: Floats, middles: Floats, pairs: Pairs, most: float) -> Pairs:
    """The pairs that are near; outlines are compared only if the circles do not decide."""
    gap = np.linalg.norm(middles[pairs[:, 0]] - middles[pairs[:, 1]], axis=1)
    found = gap <= most + 2 * INNER_M
    open_ = np.flatnonzero(~found)
    found[open_] = _distances(points, pairs[open_]) <= most
    return np.asarray(pairs[found])


def _distances(points: Floats, pairs: Pairs) -> Floats:
    """Metres between the windows of each pair."""
    both = points[pairs].reshape(-1, 8, 3)
    middle = both.mean(axis=1)
    up = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    least = np.eye(3)[np.abs(up).argmin(axis=1)]  # the axis that is farthest from vertical
    east = np.cross(least, up)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    plane = np.stack([east, np.cross(up, east)], axis=-1)
    flat = (both - middle[:, None]) @ plane
    shapes = shapely.polygons(flat.reshape(-1, 4, 2)).reshape(-1, 2)
    return np.asarray(shapely.distance(shapes[:, 0], shapes[:, 1]))


def _parts(pairs: Pairs) -> Iterator[Pairs]:
    for start in range(0, len(pairs), _AT_ONCE):
        yield pairs[start : start + _AT_ONCE]
