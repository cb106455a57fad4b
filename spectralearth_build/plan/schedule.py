"""Exact weighted interval scheduling: the best windows along a line, and the best lines for shelves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.runs import Runs
from spectralearth_build.worth import Worth


@kernel
def row_values(segments: Runs, values: Worth, pointers: npt.NDArray[np.int64], size: int) -> Worth:
    """The greatest value of a shelf in each line."""
    totals = np.empty(pointers.size - 1, np.int64)
    steps = np.empty((64, 4), np.int64)
    for k in range(totals.size):
        steps, n = schedule(segments, values, pointers[k], pointers[k + 1], size, steps)
        totals[k] = steps[n - 1, 1]
    return totals


@kernel
def schedule(
    segments: Runs, values: Worth, first: int, stop: int, size: int, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], int]:
    """The greatest total value of windows anchored west of x, as a step function of x.

    The value increases only where one more, or a better, window fits. So there are a few steps per line instead of a
    thousand columns. Along a segment, each existing step leads to another, a window's width further on.

    Args:
        segments: segments; those from ``first`` to ``stop`` are the line.
        values: value of a window anchored in each segment.
        first: first segment of the line.
        stop: index after the last segment of the line.
        size: edge of a window.
        steps: buffer for steps [n, 4]: x where the step begins, value, column of the last window, previous step.

    Returns:
        The buffer, enlarged if necessary, and the number of steps. The first step stands for no window.
    """
    steps[0] = np.array([segments[first, 1] - size, 0, 0, -1])
    n = 1
    ready = 0  # the latest step that a window anchored at the column can follow
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
            column = max(
                column + 1, steps[ready + 1, 0] + size - 1
            )  # the first column that can follow the next step
    return steps, n


@kernel
def best_row(line: Runs, values: Worth, size: int) -> npt.NDArray[np.int32]:
    """Columns of the windows of the best shelf in one line, from west to east."""
    steps, n = schedule(line, values, 0, line.shape[0], size, np.empty((64, 4), np.int64))
    columns = np.empty(n, np.int32)
    m = 0
    k = n - 1
    while k > 0:
        columns[m] = steps[k, 2]
        m += 1
        k = steps[k, 3]
    return columns[:m][::-1].copy()


@kernel
def best_rows(lines: npt.NDArray[np.int32], totals: Worth, size: int) -> npt.NDArray[np.int64]:
    """Indices of the lines of the best shelves: at least ``size`` lines apart, with the greatest total value."""
    n = lines.size
    before = np.searchsorted(
        lines, lines - size, side="right"
    )  # lines[:before[k]] do not collide with line k
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
