"""Fill segments with windows in reading order, each at the first position where it fits.

The windows in place are looked up in squares as large as a window. No two anchors are in the same square, and whatever
overlaps a window is anchored in its square or in one of the eight around it. So a look-up costs the same however many
windows there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import inlined, kernel_of
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs, packed

_NOWHERE = -(1 << 30)
"""Line and column of the window of an empty square: too far away to overlap any."""
Ints = npt.NDArray[np.int64]


class Squares(NamedTuple):
    """The windows in a box, by square."""

    windows: npt.NDArray[np.int32]
    """Anchor (line, col) of the window in each square, [line of squares, column of squares, 2]."""
    line: int
    """First line of the first square, which is outside the box: every anchor has squares all around it."""
    col: int
    """First column of the first square."""


def squares(box: Box, size: int, anchors: Points) -> Squares:
    """Look-up of windows at ``anchors`` that do not overlap, all of them in ``box``."""
    rows, cols = -(-box.height // size) + 2, -(-box.width // size) + 2
    found = Squares(np.full((rows, cols, 2), _NOWHERE, np.int32), box.line - size, box.col - size)
    found.windows[(anchors[:, 0] - found.line) // size, (anchors[:, 1] - found.col) // size] = anchors
    return found


def fill(region: Region, size: int) -> Points:
    """Windows anchored in ``region``, placed from top to bottom and from left to right wherever one fits."""
    return by_levels(region.runs, np.zeros(len(region.runs), np.int64), size)


def by_levels(segments: Runs, levels: Ints, size: int) -> Points:
    """Fill segments [m, 3] of (line, start, stop) level by level, the highest first, where there is no window yet.

    Levels [m] are small and not negative, as depths are.
    """
    placed = np.empty((0, 2), np.int32)
    if len(segments) == 0:
        return placed
    box = Region(segments).box
    taken = squares(box, size, placed)
    placed = np.empty((room(box, size), 2), np.int32)
    ranks = np.flatnonzero(np.bincount(levels))[::-1].copy()
    ahead = np.empty((box.width, 2), np.int64)
    found = _fill(packed(segments), levels, ranks, taken.line, taken.col, size, ahead, taken.windows, placed)
    return placed[:found].copy()


def room(anchors: Box, size: int) -> int:
    """How many windows at most have their anchors in a box: no two in the same square as large as a window."""
    return -(-anchors.height // size) * -(-anchors.width // size)


def free_of(segments: Runs, anchors: Points, size: int) -> tuple[Runs, Ints]:
    """The parts of segments whose windows overlap none of those at ``anchors``, and the segment of each part.

    Args:
        segments: int32 [m, 3] of (line, start, stop), sorted and disjoint.
        anchors: windows that do not overlap, anchored in the segments.
        size: edge of a window.
    """
    if len(segments) == 0:
        return segments, np.empty(0, np.int64)
    taken = squares(Region(segments).box, size, anchors)
    most = len(segments) + len(anchors) * (2 * size - 1)
    parts, parents = np.empty((most, 3), np.int32), np.empty(most, np.int64)
    found = _free(packed(segments), taken.windows, taken.line, taken.col, size, parts, parents)
    return parts[:found].copy(), parents[:found].copy()


@kernel_of(
    "int64(int32[:, ::1], int64[::1], int64[::1], int64, int64, int64, int64[:, ::1], "
    "int32[:, :, ::1], int32[:, ::1])",
    writes=3,
)
def _fill(
    segments: Runs,
    levels: Ints,
    ranks: Ints,
    line0: int,
    col0: int,
    size: int,
    ahead: Ints,
    windows: npt.NDArray[np.int32],
    placed: Points,
) -> int:
    """Write the windows to ``placed`` and to the squares, for the levels ``ranks`` in turn; returns their number.

    Most anchors are in the way of a window of the same level above them. ``ahead`` has, for each column, the first line
    that such windows leave free, and the column after the last of them. So the squares are rarely asked.
    """
    m = 0
    for rank in ranks:
        for x in range(ahead.shape[0]):
            ahead[x, 0] = line0
        for k in range(segments.shape[0]):
            if levels[k] != rank:
                continue
            line, col, stop = segments[k, 0], int(segments[k, 1]), segments[k, 2]
            row = (line - line0) // size
            while col < stop:
                x = col - col0 - size
                if ahead[x, 0] > line:
                    col = ahead[x, 1]
                    continue
                at = (col - col0) // size
                free = _next_free(windows, row, at, line, col, size)
                if free == col:
                    placed[m, 0], placed[m, 1] = line, col
                    windows[row, at, 0], windows[row, at, 1] = line, col
                    m += 1
                    free = col + size
                    for c in range(max(0, x - size + 1), min(ahead.shape[0], x + size)):
                        ahead[c, 0], ahead[c, 1] = line + size, free
                col = free
    return m


@inlined
def _next_free(windows: npt.NDArray[np.int32], row: int, at: int, line: int, col: int, size: int) -> int:
    """The column after a window in the way of an anchor in the square (``row``, ``at``); its own without any."""
    for i in range(row - 1, row + 2):
        for j in range(at - 1, at + 2):
            if abs(windows[i, j, 0] - line) < size and abs(windows[i, j, 1] - col) < size:
                return int(windows[i, j, 1]) + size
    return col


@kernel_of("int64(int32[:, ::1], int32[:, :, ::1], int64, int64, int64, int32[:, ::1], int64[::1])", writes=2)
def _free(
    segments: Runs,
    windows: npt.NDArray[np.int32],
    line0: int,
    col0: int,
    size: int,
    parts: Runs,
    parents: Ints,
) -> int:
    """Write the free parts of the segments and the index of the segment of each; returns their number.

    All windows of a column of squares that are in the way block one range of columns, since their anchors are less
    than a window apart.
    """
    m = 0
    for k in range(segments.shape[0]):
        line, start, stop = segments[k, 0], int(segments[k, 1]), int(segments[k, 2])
        row = (line - line0) // size
        for at in range((start - col0) // size - 1, (stop - 1 - col0) // size + 2):
            west, east = stop + size, _NOWHERE
            for i in range(row - 1, row + 2):
                if abs(windows[i, at, 0] - line) < size:
                    west, east = min(west, int(windows[i, at, 1])), max(east, int(windows[i, at, 1]))
            until = min(west - size + 1, stop)
            if east != _NOWHERE and until > start:
                parts[m, 0], parts[m, 1], parts[m, 2] = line, start, until
                parents[m] = k
                m += 1
            start = max(start, east + size)
        if start < stop:
            parts[m, 0], parts[m, 1], parts[m, 2] = line, start, stop
            parents[m] = k
            m += 1
    return m
