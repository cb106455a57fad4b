"""Shelves: rows of windows, the best set of them.

The windows of one shelf have the same line. In one line, the best set of windows that do not overlap is a weighted
interval scheduling, exact in one pass along the line; choosing the lines of the shelves is the same problem again,
down the lines. Every fixed lattice is a set of shelves, so shelves are never worse than the best lattice for the same
value. What lies too far apart to collide is solved apart; what is left between the shelves is filled by shelves again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.runs import Runs, outside, transposed
from spectralearth_build.plan.problem import Problem, Worth, conflicts


def shelves(problem: Problem) -> Points:
    """Place windows on shelves, along the lines or along the columns, until no more fit. A `Strategy`."""
    worthy = problem.cover.where(problem.worth[problem.cover.depth] > 0)
    if len(worthy.segments) == 0:
        return np.empty((0, 2), np.int32)
    values = problem.worth[worthy.depth]
    piece = pieces(worthy.segments, problem.size)
    order = np.argsort(piece, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(piece))[:-1])
    return np.concatenate([_best_of_both(worthy.segments[g], values[g], problem.size) for g in groups])


def _best_of_both(segments: Runs, values: Worth, size: int) -> Points:
    """Shelves along the lines or along the columns of one piece, whichever are worth more."""
    along, value = filled(segments, values, size)
    across, other = filled(*transposed(segments, values), size)
    return along if value >= other else across[:, ::-1]


def filled(segments: Runs, values: Worth, size: int) -> tuple[Points, int]:
    """The best shelves, then the best shelves of what is left, and so on; with their total value.

    Args:
        segments: int32 [m, 3] of (line, start, stop), sorted and disjoint.
        values: int64 [m], value of a window anchored in each segment, positive.
        size: edge of a window.
    """
    placed = [np.empty((0, 2), np.int32)]
    total = 0
    while len(segments):
        anchors, value = best_shelves(segments, values, size)
        placed.append(anchors)
        total += value
        segments, parent = outside(segments, conflicts(anchors, size).runs)
        values = values[parent]
    return np.concatenate(placed), total


def pieces(segments: Runs, size: int) -> npt.NDArray[np.int64]:
    """Number the parts of the plane that cannot collide: no window of one overlaps a window of another.

    Anchors nearer than ``size`` lie in the same or in neighbouring cells of a grid of that pitch.
    """
    line, first, last = (segments[:, 0] // size, segments[:, 1] // size, (segments[:, 2] - 1) // size)
    line0, col0 = int(line.min()), int(first.min())
    occupied = np.zeros((int(line.max()) - line0 + 1, int(last.max()) - col0 + 1), np.bool_)
    for shift in range(int((last - first).max()) + 1):
        occupied[line - line0, np.minimum(first + shift, last) - col0] = True
    labels, _ = ndimage.label(occupied, structure=np.ones((3, 3)))
    return np.asarray(labels[line - line0, first - col0] - 1, np.int64)


def best_shelves(segments: Runs, values: Worth, size: int) -> tuple[Points, int]:
    """The set of shelves of greatest total value, exact, and that value."""
    lines, pointers = _line_pointers(segments)
    totals = _row_values(segments, values, pointers, size)
    rows = _best_rows(lines, totals, size)
    spans = zip(pointers[rows], pointers[rows + 1], strict=True)
    found = [_best_row(segments[a:b], values[a:b], size) for a, b in spans]
    at = np.repeat(lines[rows], [len(columns) for columns in found])
    return np.stack([at, np.concatenate(found)], axis=1).astype(np.int32), int(totals[rows].sum())


def _line_pointers(segments: Runs) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    lines, first = np.unique(segments[:, 0], return_index=True)
    return lines, np.append(first, len(segments)).astype(np.int64)


@kernel
def _row_values(segments: Runs, values: Worth, pointers: npt.NDArray[np.int64], size: int) -> Worth:
    """Greatest value of a shelf in each line."""
    totals = np.empty(pointers.size - 1, np.int64)
    best = np.zeros(segments[:, 2].max() - segments[:, 1].min() + 1, np.int64)
    for k in range(totals.size):
        a, b = pointers[k], pointers[k + 1]
        totals[k] = _schedule(segments[a:b], values[a:b], size, best)
    return totals


@kernel
def _schedule(line: Runs, values: Worth, size: int, best: Worth) -> int:
    """Fill ``best[x]`` with the greatest value of windows anchored in the first x columns of a line."""
    origin = line[0, 1]
    x = 0
    best[0] = 0
    for k in range(line.shape[0]):
        while x < line[k, 1] - origin:
            best[x + 1] = best[x]
            x += 1
        value = values[k]
        while x < line[k, 2] - origin:
            taken = value + (best[x - size + 1] if x >= size else 0)
            best[x + 1] = max(best[x], taken)
            x += 1
    return int(best[x])


@kernel
def _best_row(line: Runs, values: Worth, size: int) -> npt.NDArray[np.int32]:
    """Columns of the windows of the best shelf in one line, from west to east."""
    origin = line[0, 1]
    best = np.zeros(line[-1, 2] - origin + 1, np.int64)
    x = line[-1, 2] - origin
    _schedule(line, values, size, best)
    columns = np.empty(x // size + 1, np.int32)
    m = 0
    while x > 0:
        if best[x] == best[x - 1]:
            x -= 1
        else:
            columns[m] = origin + x - 1
            m += 1
            x = max(0, x - size)
    return columns[:m][::-1].copy()


@kernel
def _best_rows(lines: npt.NDArray[np.int32], totals: Worth, size: int) -> npt.NDArray[np.int64]:
    """Indices of the lines of the best shelves: at least ``size`` lines apart, greatest total."""
    n = lines.size
    before = np.searchsorted(lines, lines - size, side="right")  # lines[:before[k]] leave room for line k
    best = np.zeros(n + 1, np.int64)
    for k in range(n):
        best[k + 1] = max(best[k], best[before[k]] + totals[k])
    chosen = np.empty(n, np.int64)
    m = 0
    k = n
    while k > 0:
        if best[k] == best[k - 1]:
            k -= 1
        else:
            chosen[m] = k - 1
            m += 1
            k = before[k - 1]
    return chosen[:m][::-1].copy()
