"""Majority and mean over quadrilaterals on a grid, weighted by exact areas.

The area of each grid cell that a quadrilateral covers is computed as in font rasterisers: in the cells that it crosses,
each edge adds the signed area between itself and the cell's right side. Cumulative sums along lines give the areas.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_LEAST = 1e-9
"""Areas, in grid cells, that differ by less count as equal, so that rounding does not decide."""

_FLAT = 1e-12
"""Height, in grid cells, below which an edge counts as horizontal: its slope could overflow."""


@kernel
def majority(codes: Codes, lines: Floats, cols: Floats, nodata: int, most: int) -> Codes:
    """The code with the largest area in each quadrilateral; of equal areas, the smallest code.

    Args:
        codes: the grid [line, col]; cell (l, c) covers [l, l + 1) x [c, c + 1). There is no data outside the grid.
        lines: lines of the corners of the quadrilaterals, [n + 1, m + 1].
        cols: columns of the corners, of the same shape.
        nodata: the code for no data.
        most: largest extent of a quadrilateral, in lines and in columns.

    Returns:
        int64 [n, m]; no data if more than half of a quadrilateral has no data, or if it is larger than ``most``.
    """
    height, width = lines.shape[0] - 1, lines.shape[1] - 1
    out = np.full((height, width), nodata, np.int64)
    room = _room(lines, cols, most)
    covered = np.zeros((room + 2, room + 3))
    found, votes = np.empty(covered.size, np.int64), np.empty(covered.size)
    for i in range(height):
        for j in range(width):
            top, left, high, wide = _cover(lines, cols, i, j, covered)
            count, valid, total = 0, 0.0, 0.0
            for k in range(high):
                for m in range(wide):
                    weight, covered[k, m] = covered[k, m], 0.0
                    total += weight
                    code = _value(codes, top + k, left + m, nodata)
                    if code == nodata or weight < _LEAST:
                        continue
                    valid += weight
                    place = 0
                    while place < count and found[place] != code:
                        place += 1
                    if place == count:
                        found[count], votes[count] = code, 0.0
                        count += 1
                    votes[place] += weight
            if count == 0 or 2 * valid < total - _LEAST:
                continue
            best = 0
            for k in range(1, count):
                ahead = votes[k] - votes[best]
                if ahead > _LEAST or (ahead >= -_LEAST and found[k] < found[best]):
                    best = k
            out[i, j] = found[best]
    return out


@kernel
def mean(values: Floats, lines: Floats, cols: Floats, most: int) -> Floats:
    """The mean of values over each quadrilateral.

    Args:
        values: the grid [line, col] as in `majority`, with NaN for no data.
        lines: lines of the corners of the quadrilaterals, [n + 1, m + 1].
        cols: columns of the corners, of the same shape.
        most: largest extent of a quadrilateral, in lines and in columns.

    Returns:
        float64 [n, m]; NaN if more than half of a quadrilateral has no data, or if it is larger than ``most``.
    """
    height, width = lines.shape[0] - 1, lines.shape[1] - 1
    out = np.full((height, width), np.nan)
    room = _room(lines, cols, most)
    covered = np.zeros((room + 2, room + 3))
    for i in range(height):
        for j in range(width):
            top, left, high, wide = _cover(lines, cols, i, j, covered)
            valid, total, summed = 0.0, 0.0, 0.0
            for k in range(high):
                for m in range(wide):
                    weight, covered[k, m] = covered[k, m], 0.0
                    total += weight
                    value = _value(values, top + k, left + m, np.nan)
                    if not np.isnan(value):
                        valid += weight
                        summed += weight * value
            if valid > _LEAST and 2 * valid >= total - _LEAST:
                out[i, j] = summed / valid
    return out


@kernel
def _room(lines: Floats, cols: Floats, most: int) -> int:
    """Extent of the largest quadrilateral whose extent is at most ``most``."""
    room = 0
    for i in range(lines.shape[0] - 1):
        for j in range(lines.shape[1] - 1):
            part, beside = lines[i : i + 2, j : j + 2], cols[i : i + 2, j : j + 2]
            extent = max(part.max() - part.min(), beside.max() - beside.min())
            if extent <= most:
                room = max(room, math.ceil(extent))
    return room


@kernel
def _value(grid: npt.NDArray[np.generic], line: int, col: int, otherwise: float) -> float:
    inside = 0 <= line < grid.shape[0] and 0 <= col < grid.shape[1]
    return grid[line, col] if inside else otherwise


@kernel
def _cover(lines: Floats, cols: Floats, i: int, j: int, out: Floats) -> tuple[int, int, int, int]:
    """Write the covered area of each cell around a quadrilateral; returns first line, first column, height, width.

    If the quadrilateral does not fit into ``out`` or is not finite, nothing is written, and height and width are 0.
    """
    corners = ((i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j))
    low, high, first, last = np.inf, -np.inf, np.inf, -np.inf
    for corner in corners:
        if not np.isfinite(lines[corner] + cols[corner]):  # minima and maxima would ignore NaN
            return 0, 0, 0, 0
        low, high = min(low, lines[corner]), max(high, lines[corner])
        first, last = min(first, cols[corner]), max(last, cols[corner])
    if high - low > out.shape[0] - 2 or last - first > out.shape[1] - 3:
        return 0, 0, 0, 0
    top, left = math.floor(low), math.floor(first)
    height, width = math.ceil(high) - top, math.ceil(last) - left
    for k in range(4):
        a, b = corners[k], corners[(k + 1) % 4]
        _edge(lines[a] - top, cols[a] - left, lines[b] - top, cols[b] - left, out)
    for k in range(height):
        area = 0.0
        for m in range(width):
            area += out[k, m]
            out[k, m] = abs(area)
        out[k, width] = 0.0
    return top, left, height, width


@kernel
def _edge(line: float, col: float, to_line: float, to_col: float, out: Floats) -> None:
    """Add an edge's signed areas: to each cell, the increase of the cumulative sum along the line."""
    sign = 1.0
    if line > to_line:
        sign, line, col, to_line, to_col = -1.0, to_line, to_col, line, col
    if to_line - line < _FLAT:
        return
    slope, start = (to_col - col) / (to_line - line), line
    for k in range(math.floor(line), math.ceil(to_line)):
        begin, end = max(line, float(k)), min(to_line, k + 1.0)
        a, b = col + slope * (begin - start), col + slope * (end - start)
        # Rounding must not go beyond the ends of the edge, where there may be no cell.
        a, b = max(min(a, b), min(col, to_col)), min(max(a, b), max(col, to_col))
        for m in range(math.floor(a), max(math.ceil(b), math.floor(a) + 1)):
            near, far = max(a, float(m)), min(b, m + 1.0)
            height = sign * (end - begin) * ((far - near) / (b - a) if b > a else 1.0)
            beyond = (near + far) / 2 - m
            out[k, m] += height * (1 - beyond)
            out[k, m + 1] += height * beyond
