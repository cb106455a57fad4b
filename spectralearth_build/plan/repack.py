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

from spectralearth_build.kernels import inlined, kernel_of
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.runs import Runs, packed, transposed
from spectralearth_build.plan.schedule import room_for_steps, schedule
from spectralearth_build.worth import Worth

GOLDEN = 0.6180339887498949
"""Step between the lines of successive sweeps, as a fraction of a window; it spreads them evenly over the window."""
_FAR = 1 << 40
"""A column east of all others."""

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
    pointers: npt.NDArray[np.int64]
    """Index of the first run of each column, from the first column to the last, and the end."""
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
    segments = packed(segments)
    across, across_depth = transposed(segments, depth)
    turned, turned_depth = _half_turned(segments), depth[::-1].copy()
    both, both_depth = _half_turned(across), across_depth[::-1].copy()
    return (
        Plane(segments, depth, across, across_depth, _pointers(across), 1, 1),
        Plane(both, both_depth, turned, turned_depth, _pointers(turned), -1, -1),
        Plane(across, across_depth, segments, depth, _pointers(segments), 1, -1),
        Plane(turned, turned_depth, both, both_depth, _pointers(both), -1, 1),
    )


def _pointers(columns: Runs) -> npt.NDArray[np.int64]:
    counts = np.bincount(columns[:, 0] - columns[0, 0])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


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
        anchors = plane.seen(_swept(plane, worth, plane.seen(anchors), size, offset))
    return anchors


def _swept(plane: Plane, worth: Worth, anchors: Points, size: int, offset: int) -> Points:
    """Choose all windows again, band by band: those that cross the lines ``offset`` + k * ``size``, in order."""
    width = len(plane.pointers) - 1
    first = int(plane.rows[0, 0] + size - 1 - offset) // size
    bands = int(plane.rows[-1, 0] + size - 1 - offset) // size - first + 1
    band = (anchors[:, 0].astype(np.int64) + size - 1 - offset) // size - first
    order = np.lexsort((anchors[:, 1], band))
    starts = np.full(bands + 2, len(anchors))
    starts[:-1] = np.searchsorted(band[order], np.arange(bands + 1))
    placed = np.empty((bands * -(-width // size), 2), np.int32)
    found = _sweep(
        plane.rows,
        plane.columns,
        worth[plane.column_depth],
        plane.pointers,
        packed(anchors[order]),
        starts,
        offset + first * size,
        size,
        np.repeat(plane.pointers[:-1], 2).reshape(-1, 2),
        np.empty((width, 3), np.int32),
        np.empty(width, np.int64),
        room_for_steps(width),
        placed,
    )
    return placed[:found].copy()


@kernel_of(
    "int64(int32[:, ::1], int32[:, ::1], int64[::1], int64[::1], int32[:, ::1], int64[::1], int64, int64, "
    "int64[:, ::1], int32[:, ::1], int64[::1], int64[:, ::1], int32[:, ::1])",
    writes=5,
)
def _sweep(
    rows: Runs,
    columns: Runs,
    values: Worth,
    pointers: npt.NDArray[np.int64],
    before: Points,
    starts: npt.NDArray[np.int64],
    line: int,
    size: int,
    state: npt.NDArray[np.int64],
    choice: Runs,
    worth: Worth,
    steps: npt.NDArray[np.int64],
    placed: Points,
) -> int:
    """Write the windows chosen again to ``placed``; returns their number.

    In each column of a band, find the best window across the band's line, between the windows of the band above, which
    are chosen already, and those of the band below, which are not. Then choose the best of these windows that have
    disjoint columns. Windows of a band are in order from west to east. Columns count from the first of the plane.

    Args:
        rows: runs along the lines.
        columns: runs down the columns.
        values: value of each run of ``columns``.
        pointers: index of the first run of each column, and the end.
        before: the windows as they were, band by band.
        starts: index of the first window of each band, and the end twice.
        line: line that the windows of the first band cross.
        size: edge of a window.
        state: for each column, the first run that may reach the lines in question (begins as ``pointers``), and the
            line of the best window.
        choice: buffer for runs (0, start, stop) of columns whose best windows have equal values.
        worth: buffer for the value of each run of ``choice``.
        steps: buffer for `schedule`.
        placed: buffer for windows.
    """
    row = above = m = 0
    for band in range(starts.size - 2):
        n, a, b, below = 0, above, starts[band + 1], starts[band + 2]
        row, col, east = _extent(rows, row, line)
        other, low, high = col, line, line
        while col < east:
            if col >= other:
                a, low, change = _beside(placed, a, m, col, size, 1, line - size + 1)
                b, reach, other = _beside(before, b, below, col, size, -1, -line)
                high, other = -reach, min(other, change)
            if low > high:
                col = other
                continue
            x = col - columns[0, 0]
            col += 1
            k, stop, value = state[x, 0], pointers[x + 1], 0
            while k < stop and columns[k, 2] <= line - size + 1:
                k += 1
            state[x, 0] = k
            while k < stop and columns[k, 1] <= high:
                if columns[k, 2] > low and values[k] > value:
                    value, state[x, 1] = int(values[k]), max(low, columns[k, 1])
                k += 1
            if value > 0:
                n = _appended(choice, worth, n, col - 1, value)
        above = m
        if n > 0:
            last = schedule(choice, worth, 0, n, size, steps) - 1
            m = _written(steps, last, state, columns[0, 0], placed, m)
        line += size
    return m


@inlined
def _extent(rows: Runs, row: int, line: int) -> tuple[int, int, int]:
    """The first run below ``line``; the first column, and the one after the last, of the runs from ``row`` to there."""
    west, east = _FAR, -_FAR
    while row < rows.shape[0] and rows[row, 0] <= line:
        west, east = min(west, int(rows[row, 1])), max(east, int(rows[row, 2]))
        row += 1
    return row, west, east


@inlined
def _beside(
    windows: Points, first: int, stop: int, col: int, size: int, turn: int, least: int
) -> tuple[int, int, int]:
    """What the windows of the next band leave to a window at ``col``; they are in order from west to east.

    Returns:
        The first window that is not west of it, the first line that they leave (lines count times ``turn``; at least
        ``least``), and the column from which on other windows are in the way.
    """
    while first < stop and windows[first, 1] <= col - size:
        first += 1
    line, other = least, _FAR
    for w in range(first, min(first + 2, stop)):
        if windows[w, 1] < col + size:
            line = max(line, turn * int(windows[w, 0]) + size)
            other = min(other, int(windows[w, 1]) + size)
        else:
            other = min(other, int(windows[w, 1]) - size + 1)
    return first, line, other


@inlined
def _appended(choice: Runs, worth: Worth, n: int, col: int, value: int) -> int:
    """Add a column and its value to the runs of equal values; returns their number."""
    if n > 0 and choice[n - 1, 2] == col and worth[n - 1] == value:
        choice[n - 1, 2] = col + 1
    else:
        choice[n, 0], choice[n, 1], choice[n, 2], worth[n] = 0, col, col + 1, value
        n += 1
    return n


@inlined
def _written(
    steps: npt.NDArray[np.int64],
    last: int,
    state: npt.NDArray[np.int64],
    col0: int,
    placed: Points,
    m: int,
) -> int:
    """Write the windows of a schedule after the first ``m``, from west to east; returns the number of all."""
    k = last
    while k > 0:  # the steps lead from east to west
        m += 1
        k = steps[k, 3]
    k, end = last, m
    while k > 0:
        end -= 1
        col = steps[k, 2]
        placed[end, 0], placed[end, 1] = state[col - col0, 1], col
        k = steps[k, 3]
    return m
