"""Exact weighted interval scheduling: the best windows along a line, and the best lines for shelves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.runs import Runs
from spectralearth_build.worth import Worth

Steps = npt.NDArray[np.int64]


def room_for_steps(columns: int) -> Steps:
    """A buffer for `schedule` on a line with so many columns: each step begins at another one."""
    return np.empty((columns + 1, 4), np.int64)


@kernel_of("int64(int32[:, ::1], int64[::1], int64, int64, int64, int64[:, ::1])", writes=1)
def schedule(segments: Runs, values: Worth, first: int, stop: int, size: int, steps: Steps) -> int:
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
        The number of steps. The first one stands for no window.
    """
    steps[0, 0], steps[0, 1], steps[0, 2], steps[0, 3] = segments[first, 1] - size, 0, 0, -1
    n = 1
    ready = 0  # the latest step that a window anchored at the column can follow
    for k in range(first, stop):
        column, end, worth = np.int64(segments[k, 1]), segments[k, 2], values[k]
        while column < end:
            while ready + 1 < n and steps[ready + 1, 0] <= column - size + 1:
                ready += 1
            value = steps[ready, 1] + worth
            if value > steps[n - 1, 1]:
                steps[n, 0], steps[n, 1], steps[n, 2], steps[n, 3] = column + 1, value, column, ready
                n += 1
            if ready + 1 == n:
                break
            column = max(
                column + 1, steps[ready + 1, 0] + size - 1
            )  # the first that can follow the next step
    return n


@kernel_of(
    "int64(int32[:, ::1], int64[::1], int64[::1], int64[::1], int64, int64[:, ::1], int64[::1], int32[:, ::1])",
    writes=3,
)
def shelves_of(
    segments: Runs,
    values: Worth,
    pointers: npt.NDArray[np.int64],
    before: npt.NDArray[np.int64],
    size: int,
    steps: Steps,
    best: npt.NDArray[np.int64],
    placed: npt.NDArray[np.int32],
) -> int:
    """Find the shelves with the greatest total value, and write their windows to the end of ``placed``.

    Args:
        segments: all segments, line by line.
        values: value of a window anchored in each segment.
        pointers: index of the first segment of each line, and the end.
        before: for each line, the number of lines that are at least ``size`` lines above it.
        size: edge of a window.
        steps: buffer for `schedule`.
        best: the greatest total value of shelves in the first k lines is written here, [lines + 1].
        placed: buffer for windows, [n, 2].

    Returns:
        The number of windows, in order of lines and columns.
    """
    best[0] = 0
    for k in range(before.size):
        n = schedule(segments, values, pointers[k], pointers[k + 1], size, steps)
        best[k + 1] = max(best[k], best[before[k]] + steps[n - 1, 1])
    last = m = placed.shape[0]
    k = before.size
    while k > 0:
        if best[k] == best[k - 1]:
            k -= 1
            continue
        k -= 1
        step = schedule(segments, values, pointers[k], pointers[k + 1], size, steps) - 1
        while step > 0:
            m -= 1
            placed[m, 0], placed[m, 1] = segments[pointers[k], 0], steps[step, 2]
            step = steps[step, 3]
        k = before[k]
    return int(last - m)
