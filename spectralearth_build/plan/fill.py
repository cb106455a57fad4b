"""Filling a region with windows in reading order: each where the first one fits."""

from __future__ import annotations

import numpy as np

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs


def fill(region: Region, size: int) -> Points:
    """Windows anchored in ``region``, from top to bottom and in each line from left to right, while one fits."""
    return _fill(region.runs, size) if region else np.empty((0, 2), np.int32)


@kernel
def _fill(runs: Runs, size: int) -> Points:
    col0 = runs[:, 1].min()
    free_from = np.full(
        runs[:, 2].max() - col0, runs[0, 0], np.int64
    )  # first line free of windows, by column
    placed = np.empty((64, 2), np.int32)
    m = 0
    for k in range(runs.shape[0]):
        line = runs[k, 0]
        col = runs[k, 1]
        while col < runs[k, 2]:
            if free_from[col - col0] > line:
                col += 1
                continue
            if m == placed.shape[0]:
                placed = np.concatenate((placed, placed))
            placed[m, 0], placed[m, 1] = line, col
            m += 1
            free_from[max(0, col - col0 - size + 1) : col - col0 + size] = line + size
            col += size
    return placed[:m].copy()
