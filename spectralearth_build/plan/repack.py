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

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.runs import Runs, packed, transposed
from spectralearth_build.plan.schedule import room_for_steps, schedule
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
        anchors = plane.seen(_swept(plane, worth, plane.seen(anchors), size, offset))
    return anchors


def _swept(plane: Plane, worth: Worth, anchors: Points, size: int, offset: int) -> Points:
    """Choose all windows again, band by band: those that cross the lines ``offset`` + k * ``size``, in order."""
    columns = packed(plane.columns)
    col0, width = int(columns[0, 0]), int(columns[-1, 0] - columns[0, 0]) + 1
    first = int(plane.rows[0, 0] + size - 1 - offset) // size
    bands = int(plane.rows[-1, 0] + size - 1 - offset) // size - first + 1
    band = (anchors[:, 0].astype(np.int64) + size - 1 - offset) // size - first
    order = np.lexsort((anchors[:, 1], band))
    pointers = np.searchsorted(columns[:, 0], np.arange(col0, col0 + width + 1))
    placed = np.empty((bands * -(-width // size), 2), np.int32)
    found = _sweep(
        columns,
        worth[plane.column_depth],
        pointers,
        packed(anchors[order]),
        np.searchsorted(band[order], np.arange(bands + 2)),
        _extents(plane.rows, (plane.rows[:, 0] + (size - 1 - offset)) // size - first, bands) - col0,
        offset + first * size,
        size,
        pointers[:-1].copy(),
        np.empty((width, 3), np.int32),
        np.empty(width, np.int64),
        np.empty(width, np.int32),
        room_for_steps(width),
        placed,
    )
    return placed[:found].copy()


def _extents(rows: Runs, band: npt.NDArray[np.int32], bands: int) -> npt.NDArray[np.int64]:
    """First column and column after the last of the anchors in each band of lines, [band, 2]; equal if it is empty."""
    bounds = np.searchsorted(band, np.arange(bands + 1))
    there = np.flatnonzero(np.diff(bounds))
    extents = np.zeros((bands, 2), np.int64)
    extents[there, 0] = np.minimum.reduceat(rows[:, 1], bounds[there])
    extents[there, 1] = np.maximum.reduceat(rows[:, 2], bounds[there])
    return extents


@kernel_of(
    "int64(int32[:, ::1], int64[::1], int64[::1], int32[:, ::1], int64[::1], int64[:, ::1], int64, int64, "
    "int64[::1], int32[:, ::1], int64[::1], int32[::1], int64[:, ::1], int32[:, ::1])",
    writes=6,
)
def _sweep(
    columns: Runs,
    values: Worth,
    pointers: npt.NDArray[np.int64],
    before: Points,
    starts: npt.NDArray[np.int64],
    extents: npt.NDArray[np.int64],
    line: int,
    size: int,
    cursor: npt.NDArray[np.int64],
    choice: Runs,
    worth: Worth,
    lines: npt.NDArray[np.int32],
    steps: npt.NDArray[np.int64],
    placed: Points,
) -> int:
    """Write the windows chosen again to ``placed``; returns their number.

    In each column of a band, find the best window across the band's line, between the windows of the band above, which
    are chosen already, and those of the band below, which are not. Then choose the best of these windows that have
    disjoint columns. Windows of a band are in order from west to east. Columns count from the first of the plane.

    Args:
        columns: runs down the columns.
        values: value of each run.
        pointers: index of the first run of each column, and the end.
        before: the windows as they were, band by band.
        starts: index of the first window of each band, and the end twice.
        extents: range of columns of each band.
        line: line that the windows of the first band cross.
        size: edge of a window.
        cursor: for each column, the first run that may reach the lines in question; begins as ``pointers``.
        choice: buffer for runs (0, start, stop) of columns whose best windows have equal values.
        worth: buffer for the value of each run of ``choice``.
        lines: buffer for the line of the best window in each column.
        steps: buffer for `schedule`.
        placed: buffer for windows.
    """
    above = m = 0
    for band in range(extents.shape[0]):
        n, a, b, below = 0, above, starts[band + 1], starts[band + 2]
        for x in range(extents[band, 0], extents[band, 1]):
            col = columns[0, 0] + x
            low, high = line - size + 1, line
            k, stop = cursor[x], pointers[x + 1]
            while k < stop and columns[k, 2] <= low:
                k += 1
            cursor[x] = k
            while a < m and placed[a, 1] <= col - size:
                a += 1
            for w in range(a, min(a + 2, m)):
                if placed[w, 1] < col + size:
                    low = max(low, placed[w, 0] + size)
            while b < below and before[b, 1] <= col - size:
                b += 1
            for w in range(b, min(b + 2, below)):
                if before[w, 1] < col + size:
                    high = min(high, before[w, 0] - size)
            value = 0
            while k < stop and low <= high and columns[k, 1] <= high:
                if columns[k, 2] > low and values[k] > value:
                    value, lines[x] = values[k], max(low, columns[k, 1])
                k += 1
            if value == 0:
                continue
            if n > 0 and choice[n - 1, 2] == col and worth[n - 1] == value:
                choice[n - 1, 2] = col + 1
            else:
                choice[n, 0], choice[n, 1], choice[n, 2], worth[n] = 0, col, col + 1, value
                n += 1
        above = m
        step = schedule(choice, worth, 0, n, size, steps) - 1 if n > 0 else 0
        end = m
        k = step
        while k > 0:  # the steps lead from east to west
            end += 1
            k = steps[k, 3]
        m = end
        while step > 0:
            end -= 1
            col = steps[step, 2]
            placed[end, 0], placed[end, 1] = lines[col - columns[0, 0]], col
            step = steps[step, 3]
        line += size
    return m
