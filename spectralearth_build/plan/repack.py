"""Local improvement: slide windows and choose them again, band by band, so that more or better ones fit.

The windows that cross one line have disjoint columns. While all other windows stay in place, each column leaves a range
of lines for the anchor of such a window. The best anchor in this range gives the value of the column, and the best set
of windows is again the exact schedule of one shelf. The windows that crossed the line before are one such set, so the
value never falls. Among equal values, windows nearest to a corner win: they move together there, and the free space
between them becomes usable elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.runs import Runs, transposed
from spectralearth_build.plan.schedule import best_row
from spectralearth_build.worth import Worth

GOLDEN = 0.6180339887498949
"""Step between the lines of successive sweeps, as a fraction of a window; it spreads them evenly over the window."""


Depth = npt.NDArray[np.int64]


class Plane(NamedTuple):
    """A piece in one of four orientations."""

    rows: Runs
    """int32 [m, 3] of (line, start, stop), sorted and disjoint."""
    row_depth: Depth
    """Depth of each run, int64 [m]."""
    columns: Runs
    """The same anchors as int32 [k, 3] of (column, first line, stop line)."""
    column_depth: Depth
    """Depth of each column run, int64 [k]."""
    turn: int
    """1, or -1 if the plane is upside down. Its anchors are those of the piece times ``turn``."""
    axis: int
    """1, or -1 if lines and columns are exchanged."""

    def seen(self, anchors: Points) -> Points:
        """Convert anchors of the piece to this orientation, or back: every orientation is its own inverse."""
        return np.ascontiguousarray(self.turn * anchors[:, :: self.axis])


def planes_of(segments: Runs, depth: Depth) -> tuple[Plane, Plane, Plane, Plane]:
    """The four orientations of a piece: as it is and upside down, each also with lines and columns exchanged.

    In each, windows slide along another axis or towards another corner.
    """
    across, across_depth = transposed(segments, depth)
    turned, turned_depth = _half_turned(segments), depth[::-1].copy()
    both, both_depth = _half_turned(across), across_depth[::-1].copy()
    return (
        Plane(segments, depth, across, across_depth, 1, 1),
        Plane(both, both_depth, turned, turned_depth, -1, -1),
        Plane(across, across_depth, segments, depth, 1, -1),
        Plane(turned, turned_depth, both, both_depth, -1, 1),
    )


def _half_turned(segments: Runs) -> Runs:
    """The plane upside down: an anchor (line, col) becomes (-line, -col)."""
    line, start, stop = segments[::-1].T
    return np.ascontiguousarray(np.stack([-line, 1 - stop, 1 - start], axis=1))


def repacked(planes: Sequence[Plane], worth: Worth, anchors: Points, size: int, sweeps: int) -> Points:
    """Improve a placement; the result has at least the same value.

    Args:
        planes: the orientations of the piece, which the sweeps use in turn.
        worth: value of each depth, positive for the depths of the piece.
        anchors: windows that do not overlap, anchored in the piece.
        size: edge of a window.
        sweeps: number of times that every window is chosen again.
    """
    for sweep in range(sweeps):
        plane = planes[sweep % len(planes)]
        offset = int((1 + sweep) * GOLDEN % 1 * size)
        moved = _swept(
            plane.seen(anchors),
            plane.rows[0, 0],
            _spans(plane.rows),
            plane.columns,
            worth[plane.column_depth],
            _pointers(plane.columns),
            size,
            offset,
        )
        anchors = plane.seen(moved)
    return anchors


@kernel
def _spans(rows: Runs) -> npt.NDArray[np.int32]:
    """For each line from first to last, the first column and the column after the last; (0, 0) if empty."""
    spans = np.zeros((rows[-1, 0] - rows[0, 0] + 1, 2), np.int32)
    for k in range(rows.shape[0]):
        line = rows[k, 0] - rows[0, 0]
        if spans[line, 0] == spans[line, 1]:
            spans[line, 0] = rows[k, 1]
        spans[line, 1] = rows[k, 2]
    return spans


@kernel
def _pointers(columns: Runs) -> npt.NDArray[np.int64]:
    """Index in ``columns`` where each column from first to last begins, and the end."""
    pointers = np.zeros(columns[-1, 0] - columns[0, 0] + 2, np.int64)
    for k in range(columns.shape[0]):
        pointers[columns[k, 0] - columns[0, 0] + 1] = k + 1
    for x in range(1, pointers.size):
        pointers[x] = max(pointers[x], pointers[x - 1])
    return pointers


@kernel
def _swept(
    anchors: Points,
    top: int,
    spans: npt.NDArray[np.int32],
    columns: Runs,
    values: Worth,
    pointers: npt.NDArray[np.int64],
    size: int,
    offset: int,
) -> Points:
    """Choose all windows again, band by band: those that cross the lines ``offset`` + k * ``size``, in order."""
    first = (top + size - 1 - offset) // size
    bands = (top + spans.shape[0] + size - 2 - offset) // size - first + 1
    order, starts = _banded(anchors, first, bands, size, offset)
    cursor = pointers[:-1].copy()
    choice, lines = np.empty((pointers.size - 1, 3), np.int32), np.empty(pointers.size - 1, np.int32)
    worth = np.empty(pointers.size - 1, np.int64)
    placed = np.empty((2 * anchors.shape[0] + 16, 2), np.int32)
    above = m = 0
    for band in range(bands):
        line = offset + (first + band) * size
        x0, x1 = _extent(spans, line - size + 1 - top, line + 1 - top, columns[0, 0])
        below = anchors[order[starts[band + 1] : starts[band + 2]]]
        n = _stretches(
            columns,
            values,
            pointers,
            cursor,
            x0,
            x1,
            line,
            placed[above:m],
            below,
            size,
            choice,
            worth,
            lines,
        )
        above = m
        if n == 0:
            continue
        found = best_row(choice[:n], worth[:n], size)
        while m + found.size > placed.shape[0]:
            placed = np.concatenate((placed, placed))
        for col in found:
            placed[m, 0], placed[m, 1] = lines[col - columns[0, 0]], col
            m += 1
    return placed[:m].copy()


@kernel
def _banded(
    anchors: Points, first: int, bands: int, size: int, offset: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Windows by the line that they cross, west to east, and the start of each line; an empty line at the end."""
    band = (anchors[:, 0].astype(np.int64) + size - 1 - offset) // size - first
    order = np.argsort((band << 32) + anchors[:, 1])
    return order, np.searchsorted(band[order], np.arange(bands + 2))


@kernel
def _extent(spans: npt.NDArray[np.int32], start: int, stop: int, col0: int) -> tuple[int, int]:
    """Range of columns, counted from ``col0``, of the anchors in lines ``start`` to ``stop``; (0, 0) if empty."""
    x0 = x1 = 0
    for line in range(max(0, start), min(stop, spans.shape[0])):
        if spans[line, 0] < spans[line, 1]:
            x0 = min(x0, spans[line, 0] - col0) if x0 < x1 else spans[line, 0] - col0
            x1 = max(x1, spans[line, 1] - col0)
    return x0, x1


@kernel
def _stretches(
    columns: Runs,
    values: Worth,
    pointers: npt.NDArray[np.int64],
    cursor: npt.NDArray[np.int64],
    x0: int,
    x1: int,
    line: int,
    above: Points,
    below: Points,
    size: int,
    choice: Runs,
    worth: Worth,
    lines: npt.NDArray[np.int32],
) -> int:
    """Find the best window across ``line`` in each column, between the windows ``above`` and ``below``.

    Columns ``x0`` to ``x1`` count from the first column of the plane. ``cursor`` has, for each column, the first of its
    runs that may reach the lines in question; it is updated. Windows ``above`` and ``below`` are sorted from west to
    east. Results are written to ``choice`` (runs (0, start, stop) of columns whose best windows have equal values),
    ``worth`` (the value of each run) and ``lines`` (the line of each column's best window).

    Returns:
        The number of runs in ``choice``.
    """
    n = a = b = 0
    for x in range(x0, x1):
        col = columns[0, 0] + x
        low, high = line - size + 1, line
        k, stop = cursor[x], pointers[x + 1]
        while k < stop and columns[k, 2] <= low:
            k += 1
        cursor[x] = k
        while a < above.shape[0] and above[a, 1] <= col - size:
            a += 1
        for w in range(a, min(a + 2, above.shape[0])):
            if above[w, 1] < col + size:
                low = max(low, above[w, 0] + size)
        while b < below.shape[0] and below[b, 1] <= col - size:
            b += 1
        for w in range(b, min(b + 2, below.shape[0])):
            if below[w, 1] < col + size:
                high = min(high, below[w, 0] - size)
        value = 0
        while k < stop and low <= high and columns[k, 1] <= high:
            if columns[k, 2] > low and values[k] > value:
                value, lines[x] = values[k], max(low, columns[k, 1])
            k += 1
        if value == 0:
            continue
        if n and choice[n - 1, 2] == col and worth[n - 1] == value:
            choice[n - 1, 2] = col + 1
        else:
            choice[n, 0], choice[n, 1], choice[n, 2], worth[n] = 0, col, col + 1, value
            n += 1
    return n
