"""Locate points of a patch in a raster of any projection. Pure geometry without pixels.

A patch is 3.84 km wide, and projections are smooth at that scale. So the projection is evaluated at 5 x 5 Chebyshev
points and interpolated by polynomials, which are compared with the projection at other points. If they disagree (at a
discontinuity of the projection, or at the edge of its domain), every point is projected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS, Transformer

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import PIXEL, WINDOW

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Places = tuple[Floats, Floats]

TOLERANCE = 0.001
"""Largest error of interpolated positions, in source pixels."""
_NODES = 5
_CHECKS = 6
_SNAP = 1e-6
"""A point this close to the next pixel, in source pixels, belongs to it, so that rounding does not decide."""


class Georeferenced(Protocol):
    """The georeferencing of a raster."""

    @property
    def crs(self) -> CRS:
        """The coordinate system."""

    @property
    def transform(self) -> Affine:
        """Transform from column and line to x and y, of any orientation."""

    @property
    def shape(self) -> tuple[int, int]:
        """Lines and columns."""


def centres() -> Floats:
    """Positions of the pixels' centres along a side of a patch: 0 is its west or north edge, 1 the opposite edge."""
    return (np.arange(WINDOW) + 0.5) / WINDOW


def corners() -> Floats:
    """Positions of the pixels' edges along a side of a patch, including the first and the last."""
    return np.arange(WINDOW + 1) / WINDOW


def places(raster: Georeferenced, epsg: int, west: float, north: float, at: Floats) -> Iterator[Places]:
    """Yield the positions of points of a patch in a raster.

    Args:
        raster: the raster.
        epsg: UTM zone of the patch.
        west: x of the patch's upper-left corner, metres.
        north: y of the patch's upper-left corner, metres.
        at: positions along each side of the patch; see `centres` and `corners`.

    Yields:
        Lines and columns, float64 [at, at]: the source pixel (l, c) covers [l, l + 1) x [c, c + 1). They are not finite
        for points outside the domain of the projection. There is one result for each number of turns around the Earth
        that may bring points of the patch into the raster; several only at the ends of a raster in longitudes.
    """
    nodes, checks = _chebyshev(), np.linspace(0, 1, _CHECKS)
    known = _projected(raster.crs, epsg, west, north, nodes)
    truth = _projected(raster.crs, epsg, west, north, checks)
    with np.errstate(invalid="ignore"):
        guess = (_interpolated(axis, nodes, checks) for axis in known)
        misses = [
            np.abs(np.subtract(*pair))
            for pair in zip(_pixels(raster, *guess), _pixels(raster, *truth), strict=True)
        ]
        if np.max(misses) < TOLERANCE:
            lines, cols = (_interpolated(axis, nodes, at) for axis in _pixels(raster, *known))
        else:
            lines, cols = _pixels(raster, *_projected(raster.crs, epsg, west, north, at))
    for down, right in _turns(raster, truth[0]):
        yield lines + down, cols + right


def cells(lines: Floats, cols: Floats, shape: tuple[int, int]) -> tuple[Integers, Integers]:
    """Lines and columns, int64, of the pixels that contain positions; -1 or the raster's size for positions outside."""
    return _cells(lines, shape[0]), _cells(cols, shape[1])


@kernel
def _cells(places: Floats, size: int) -> Integers:
    out = np.empty(places.shape, np.int64)
    for i in range(places.shape[0]):
        for j in range(places.shape[1]):
            place = places[i, j] + _SNAP
            # NaN fails both comparisons.
            out[i, j] = int(np.floor(place)) if 0 <= place < size else (size if place >= size else -1)
    return out


@lru_cache(maxsize=1024)
def _transformer(epsg: int, crs: CRS) -> Transformer:
    return Transformer.from_crs(epsg, crs, always_xy=True)


def _projected(crs: CRS, epsg: int, west: float, north: float, at: Floats) -> Places:
    """Coordinates at positions along each side of a patch (0: west or north edge, 1: opposite edge), [at, at]."""
    side = WINDOW * PIXEL
    grid = np.meshgrid(west + side * at, north - side * at)
    x, y = _transformer(epsg, crs).transform(*grid)
    if crs.is_geographic:
        turn = _turn(crs)
        x = x - turn * np.round((x - x[0, 0]) / turn)
    return x, y


def _turn(crs: CRS) -> float:
    """A full turn in the units of a geographic system: 360 for degrees."""
    return round(2 * np.pi / crs.axis_info[0].unit_conversion_factor, 6)


def _turns(raster: Georeferenced, x: Floats) -> Iterator[tuple[float, float]]:
    """Yield the lines and columns to add for each number of turns that brings some longitudes into the raster."""
    if not raster.crs.is_geographic:
        yield 0.0, 0.0
        return
    (height, width), t, turn = raster.shape, raster.transform, _turn(raster.crs)
    first = t.c + min(0.0, t.a * width) + min(0.0, t.b * height)
    last = t.c + max(0.0, t.a * width) + max(0.0, t.b * height)
    # With a margin of a pixel: points at an edge are checked later by line and column.
    for number in range(math.floor((first - x.max()) / turn), math.ceil((last - x.min()) / turn) + 1):
        if x.min() + number * turn <= last + abs(t.a) and x.max() + number * turn >= first - abs(t.a):
            inverse = _linear(t)
            yield inverse.d * number * turn, inverse.a * number * turn


def _pixels(raster: Georeferenced, x: Floats, y: Floats) -> Places:
    t, inverse = raster.transform, _linear(raster.transform)
    east, north = x - t.c, y - t.f  # subtract first, because offsets are large and pixels small
    return inverse.d * east + inverse.e * north, inverse.a * east + inverse.b * north


def _linear(transform: Affine) -> Affine:
    """Transform from differences of x and y to differences of column and line."""
    t = transform
    inverse: Affine = ~Affine(t.a, t.b, 0, t.d, t.e, 0)
    return inverse


def _chebyshev() -> Floats:
    """The Chebyshev nodes between 0 and 1."""
    return (1 - np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)) / 2


def _interpolated(known: Floats, nodes: Floats, at: Floats) -> Floats:
    """Interpolate a function that is known at nodes x nodes at positions x positions."""
    return _products(_lagrange(nodes, at), np.ascontiguousarray(known))


@kernel
def _products(weights: Floats, known: Floats) -> Floats:
    """Compute weights @ known @ weights.T without BLAS, which would start threads and wait for them."""
    size, nodes = weights.shape
    along, out = np.zeros((nodes, size)), np.zeros((size, size))
    for k in range(nodes):
        for m in range(nodes):
            for j in range(size):
                along[k, j] += known[k, m] * weights[j, m]
    for i in range(size):
        for k in range(nodes):
            for j in range(size):
                out[i, j] += weights[i, k] * along[k, j]
    return out


def _lagrange(nodes: Floats, at: Floats) -> Floats:
    """Weight of each node at each position [at, node]."""
    gaps = nodes[:, np.newaxis] - nodes
    np.fill_diagonal(gaps, 1)
    factors = np.repeat((at[:, np.newaxis] - nodes)[:, np.newaxis], len(nodes), axis=1)
    factors[:, np.arange(len(nodes)), np.arange(len(nodes))] = 1
    return np.asarray((factors / gaps).prod(axis=2))
