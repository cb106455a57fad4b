"""Bilinear resampling from one UTM zone's lattice to another's. A pixel's value does not depend on how work is divided.

Coordinates are projected at knots that are fixed to the lattice, not to the window, and interpolated between them by
parabolas, which differ from the projection by less than a millionth of a pixel. (GDAL's warper interpolates linearly
over the window it is given, so its results depend on the window.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import NODATA, Box, col_at, easting, line_at, northing

Grid = npt.NDArray[np.float64]
_NEAR = 1e-9
_SPAN = 64
"""Pixels that one parabola spans: the error between neighbouring UTM zones is at most 2e-8 pixels everywhere."""


@lru_cache(maxsize=1024)
def transformer(source_epsg: int, target_epsg: int) -> Transformer:
    """The projection from one zone to another, with x before y."""
    return Transformer.from_crs(source_epsg, target_epsg, always_xy=True)


def source_grid(target: Box, target_epsg: int, source_epsg: int) -> tuple[Grid, Grid]:
    """Positions on another lattice of the centres of a target box's pixels.

    Returns:
        Lines and columns, float64 [height, width]; the centre of pixel (l, c) is at l + 0.5, c + 0.5.
    """
    knots, pitch = _spanning(target), _SPAN // 2
    x = easting(pitch * np.arange(knots.col, knots.stop_col))
    y = northing(pitch * np.arange(knots.line, knots.stop_line))
    east, north = transformer(target_epsg, source_epsg).transform(*np.meshgrid(x, y))
    line = (np.arange(target.line, target.stop_line) + 0.5) / pitch - knots.line
    col = (np.arange(target.col, target.stop_col) + 0.5) / pitch - knots.col
    lines, cols = line_at(np.asarray(north)), col_at(np.asarray(east))
    return _parabolic(lines, line, col), _parabolic(cols, line, col)


def _spanning(target: Box) -> Box:
    """The knots that a box needs, two per span, counted from the lattice's origin."""
    line, col = (2 * (first // _SPAN) for first in (target.line, target.col))
    stop_line, stop_col = (2 * -(-stop // _SPAN) + 1 for stop in (target.stop_line, target.stop_col))
    return Box(line, col, stop_line - line, stop_col - col)


@kernel
def _parabolic(knots: Grid, line: npt.NDArray[np.float64], col: npt.NDArray[np.float64]) -> Grid:
    """Interpolate values at knots [n, m] at each (line, col), which are in units of knots from the first knot."""
    along = np.empty((knots.shape[0], col.size))
    for j in range(col.size):
        k, (first, middle, last) = _weights(col[j])
        for i in range(knots.shape[0]):
            along[i, j] = knots[i, k] * first + knots[i, k + 1] * middle + knots[i, k + 2] * last
    out = np.empty((line.size, col.size))
    for i in range(line.size):
        k, (first, middle, last) = _weights(line[i])
        for j in range(col.size):
            out[i, j] = along[k, j] * first + along[k + 1, j] * middle + along[k + 2, j] * last
    return out


@kernel
def _weights(at: float) -> tuple[int, tuple[float, float, float]]:
    """The first knot of the span that contains a position, and the weights of its three knots."""
    knot = 2 * int(at // 2)
    t = at - knot - 1
    return knot, (t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2)


def support(lines: Grid, cols: Grid) -> Box:
    """The smallest source box that contains every pixel with weight in the result."""
    line, col = (int(np.floor(v.min() - 0.5)) for v in (lines, cols))
    stop_line, stop_col = (int(np.floor(v.max() - 0.5)) + 2 for v in (lines, cols))
    return Box(line, col, stop_line - line, stop_col - col)


def bilinear(pixels: npt.NDArray[np.int16], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.int16]:
    """Interpolate int16 pixels [band, line, col] that cover ``box`` at ``lines``, ``cols`` [h, w].

    Returns:
        int16 [band, h, w], rounded to nearest; nodata if a pixel with weight is nodata or outside the box.
    """
    out = np.full((pixels.shape[0], *lines.shape), NODATA, np.int16)
    _bilinear(np.ascontiguousarray(pixels), lines - box.line - 0.5, cols - box.col - 0.5, out)
    return out


def bilinear_valid(valid: npt.NDArray[np.bool_], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.bool_]:
    """Which points `bilinear` can interpolate: every pixel with weight is valid and inside the box."""
    as_pixels = np.where(valid, 0, NODATA).astype(np.int16)[np.newaxis]
    return np.asarray(bilinear(as_pixels, box, lines, cols)[0] != NODATA)


def nearest(values: npt.NDArray[np.uint8], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.uint8]:
    """Values of the pixels that the points fall into, from ``values`` [line, col] covering ``box``; 0 outside."""
    return _nearest(values, lines - box.line, cols - box.col)


@kernel
def _nearest(values: npt.NDArray[np.uint8], lines: Grid, cols: Grid) -> npt.NDArray[np.uint8]:
    height, width = values.shape
    out = np.zeros(lines.shape, np.uint8)
    for i in range(lines.shape[0]):
        for j in range(lines.shape[1]):
            line, col = int(np.floor(lines[i, j])), int(np.floor(cols[i, j]))
            if 0 <= line < height and 0 <= col < width:
                out[i, j] = values[line, col]
    return out


@kernel
def _bilinear(pixels: npt.NDArray[np.int16], lines: Grid, cols: Grid, out: npt.NDArray[np.int16]) -> None:
    bands, height, width = pixels.shape
    count = 0
    point, corner = np.empty(lines.size, np.int64), np.empty(lines.size, np.int64)
    below, beside = np.empty(lines.size, np.int64), np.empty(lines.size, np.int64)
    downs, rights = np.empty(lines.size), np.empty(lines.size)
    for i in range(lines.shape[0]):
        for j in range(lines.shape[1]):
            line, col = int(np.floor(lines[i, j])), int(np.floor(cols[i, j]))
            down, right = lines[i, j] - line, cols[i, j] - col
            # A point on a pixel centre needs no neighbour. Without this rule, border pixels would be lost.
            lower, next_col = (1 if down > _NEAR else 0), (1 if right > _NEAR else 0)
            if line < 0 or col < 0 or line + lower >= height or col + next_col >= width:
                continue
            point[count], corner[count] = i * lines.shape[1] + j, line * width + col
            below[count], beside[count] = lower * width, next_col
            downs[count], rights[count] = down, right
            count += 1
    source, target = pixels.reshape(bands, height * width), out.reshape(bands, lines.size)
    for band in range(bands):  # outermost, because the pixels of a band are contiguous
        for k in range(count):
            first = corner[k]
            a, b = source[band, first], source[band, first + beside[k]]
            c, d = source[band, first + below[k]], source[band, first + below[k] + beside[k]]
            if a != NODATA and b != NODATA and c != NODATA and d != NODATA:
                top = a + (float(b) - a) * rights[k]
                bottom = c + (float(d) - c) * rights[k]
                target[band, point[k]] = np.rint(top + (bottom - top) * downs[k])
