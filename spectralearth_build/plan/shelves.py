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
from spectralearth_build.overlap.runs import Runs, outside, segment_of, transposed
from spectralearth_build.plan.greedy import by_levels
from spectralearth_build.plan.problem import Problem, conflicts
from spectralearth_build.worth import Worth


def shelves(problem: Problem) -> Points:
    """Place windows, piece by piece, in the best of a few layouts, until no more fit. A `Strategy`."""
    worthy = problem.cover.where(problem.worth[problem.cover.depth] > 0)
    if len(worthy.segments) == 0:
        return np.empty((0, 2), np.int32)
    values = problem.worth[worthy.depth]
    piece = pieces(worthy.segments, problem.size)
    order = np.argsort(piece, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(piece))[:-1])
    return np.concatenate([_best_layout(worthy.segments[g], values[g], problem.size) for g in groups])


def _best_layout(segments: Runs, values: Worth, size: int) -> Points:
    """The best of a few layouts of one piece.

    Shelves along the lines and along the columns, and, as small pieces are sometimes better filled from a corner, the
    most valuable anchors first from each of the four corners.
    """
    across, across_values = transposed(segments, values)
    found = [filled(segments, values, size), filled(across, across_values, size)[:, ::-1]]
    for plane, plane_values, turn in ((segments, values, 1), (across, across_values, -1)):
        found.append(by_levels(plane, plane_values, size)[:, ::turn])
        found.append(-by_levels(*_half_turned(plane, plane_values), size)[:, ::turn])
    worth = [values[segment_of(segments, anchors)].sum() for anchors in found]
    return found[int(np.argmax(worth))]


def _half_turned(segments: Runs, values: Worth) -> tuple[Runs, Worth]:
    """The plane seen upside down: an anchor (line, col) becomes (-line, -col)."""
    line, start, stop = segments[::-1].T
    return np.ascontiguousarray(np.stack([-line, 1 - stop, 1 - start], axis=1)), values[::-1]


def filled(segments: Runs, values: Worth, size: int) -> Points:
    """The best shelves, then the best shelves of what is left, and so on.

    Args:
        segments: int32 [m, 3] of (line, start, stop), sorted and disjoint.
        values: int64 [m], value of a window anchored in each segment, positive.
        size: edge of a window.
    """
    placed = [np.empty((0, 2), np.int32)]
    while len(segments):
        anchors, _ = best_shelves(segments, values, size)
        placed.append(anchors)
        segments, parent = outside(segments, conflicts(anchors, size).runs)
        values = values[parent]
    return np.concatenate(placed)


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
    steps = np.empty((64, 4), np.int64)
    for k in range(totals.size):
        steps, n = _schedule(segments, values, pointers[k], pointers[k + 1], size, steps)
        totals[k] = steps[n - 1, 1]
    return totals


@kernel
def _schedule(
    segments: Runs, values: Worth, first: int, stop: int, size: int, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], int]:
    """The greatest value of windows anchored west of x, as the steps at which it grows with x.

    It is constant but for a step wherever one more, or a better, window fits: a few steps a line, not a thousand
    columns. Going along a segment, each step so far gives one more, a window's width further on.

    Args:
        segments: of which ``first`` to ``stop`` are the line.
        values: value of a window anchored in each.
        first: first segment of the line.
        stop: one past its last.
        size: edge of a window.
        steps: room for steps [n, 4]: x from which it holds, value, column of the last window, step it builds on.

    Returns:
        The room, larger if it had to be, and the number of steps; the first is nothing.
    """
    steps[0] = np.array([segments[first, 1] - size, 0, 0, -1])
    n = 1
    ready = 0  # the step that a window anchored at the column can build on
    for k in range(first, stop):
        column = segments[k, 1]
        while column < segments[k, 2]:
            while ready + 1 < n and steps[ready + 1, 0] <= column - size + 1:
                ready += 1
            value = steps[ready, 1] + values[k]
            if value > steps[n - 1, 1]:
                if n == steps.shape[0]:
                    steps = np.concatenate((steps, steps))
                steps[n, 0], steps[n, 1], steps[n, 2], steps[n, 3] = column + 1, value, column, ready
                n += 1
            if ready + 1 == n:
                break
            column = max(column + 1, steps[ready + 1, 0] + size - 1)  # where the next step can be built on
    return steps, n


@kernel
def _best_row(line: Runs, values: Worth, size: int) -> npt.NDArray[np.int32]:
    """Columns of the windows of the best shelf in one line, from west to east."""
    steps, n = _schedule(line, values, 0, line.shape[0], size, np.empty((64, 4), np.int64))
    columns = np.empty(n, np.int32)
    m = 0
    k = n - 1
    while k > 0:
        columns[m] = steps[k, 2]
        m += 1
        k = steps[k, 3]
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
