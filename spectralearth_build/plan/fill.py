"""Fill a region with windows in reading order, each at the first position where it fits."""

from __future__ import annotations

import numpy as np

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs


def fill(region: Region, size: int) -> Points:
    """Windows anchored in ``region``, placed from top to bottom and from left to right wherever one fits."""
    return _fill(region.runs, size) if region else np.empty((0, 2), np.int32)


@kernel
def _fill(runs: Runs, size: int) -> Points:
    col0 = runs[:, 1].min()
    width = runs[:, 2].max() - col0
    free_from = np.full(width, runs[0, 0], np.int64)  # for each column, the first line that is not blocked
    next_free = np.zeros(width, np.int64)  # and the first column that the blocking window leaves free
    placed = np.empty((64, 2), np.int32)
    m = 0
    for k in range(runs.shape[0]):
        line = runs[k, 0]
        col = np.int64(runs[k, 1])
        while col < runs[k, 2]:
            if free_from[col - col0] > line:
                col = next_free[col - col0]
                continue
            if m == placed.shape[0]:
                placed = np.concatenate((placed, placed))
            placed[m, 0], placed[m, 1] = line, col
            m += 1
            first, stop = max(0, col - col0 - size + 1), min(width, col - col0 + size)
            free_from[first:stop] = line + size
            next_free[first:stop] = col + size
            col += size
    return placed[:m].copy()
