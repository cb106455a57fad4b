"""Fill a region with windows in reading order, each at the first position where it fits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs, packed


def fill(region: Region, size: int) -> Points:
    """Windows anchored in ``region``, placed from top to bottom and from left to right wherever one fits."""
    if not region:
        return np.empty((0, 2), np.int32)
    box = region.box
    free_from, next_free = np.full(box.width, box.line, np.int64), np.zeros(box.width, np.int64)
    placed = np.empty((room(box, size), 2), np.int32)
    found = _fill(packed(region.runs), size, box.col, free_from, next_free, placed)
    return placed[:found].copy()


def room(anchors: Box, size: int) -> int:
    """How many windows at most have their anchors in a box: no two in the same square as large as a window."""
    return -(-anchors.height // size) * -(-anchors.width // size)


@kernel_of("int64(int32[:, ::1], int64, int64, int64[::1], int64[::1], int32[:, ::1])", writes=3)
def _fill(
    runs: Runs,
    size: int,
    col0: int,
    free_from: npt.NDArray[np.int64],
    next_free: npt.NDArray[np.int64],
    placed: Points,
) -> int:
    """Write the windows to ``placed``; returns their number.

    For each column, counted from ``col0``: ``free_from`` has the first line that is not blocked, and ``next_free`` the
    first column that the blocking window leaves free.
    """
    m = 0
    for k in range(runs.shape[0]):
        line = runs[k, 0]
        col = runs[k, 1] - col0
        while col < runs[k, 2] - col0:
            if free_from[col] > line:
                col = next_free[col]
                continue
            placed[m, 0], placed[m, 1] = line, col + col0
            m += 1
            for c in range(max(0, col - size + 1), min(free_from.size, col + size)):
                free_from[c] = line + size
                next_free[c] = col + size
            col += size
    return m
