"""An upper bound on the value of any placement.

The windows that cross one line have disjoint columns. So their total value is at most that of the best one-dimensional
schedule in which each column has the value of the best anchor whose window would cross the line there. Every window
crosses S lines. Hence the sum over all lines, divided by S, bounds the value of any set of windows that do not overlap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.runs import Runs
from spectralearth_build.plan.problem import Problem
from spectralearth_build.plan.shelves import pieces
from spectralearth_build.worth import Worth


def upper_bound(problem: Problem) -> float:
    """The upper bound on the value of any placement."""
    values = problem.worth[problem.cover.depth]
    worthy = values > 0
    segments, values = problem.cover.segments[worthy], values[worthy]
    if len(segments) == 0:
        return 0.0
    piece = pieces(segments, problem.size)
    return float(
        sum(_bound(segments[piece == k], values[piece == k], problem.size) for k in range(piece.max() + 1))
    )


@kernel
def _bound(segments: Runs, values: Worth, size: int) -> float:
    first, last = segments[0, 0], segments[-1, 0]
    col0 = segments[:, 1].min()
    width = segments[:, 2].max() - col0
    blocks = (last - first) // size + 1
    behind = np.zeros((size, width), np.int64)  # maximum from each line of the previous block to its end
    rows = np.zeros((size, width), np.int64)
    ahead = np.zeros(width, np.int64)
    best = np.zeros(width + 1, np.int64)
    total = 0.0
    k = 0
    for block in range(blocks + 1):
        rows[:] = 0
        while k < segments.shape[0] and segments[k, 0] < first + (block + 1) * size:
            row = segments[k, 0] - first - block * size
            rows[row, segments[k, 1] - col0 : segments[k, 2] - col0] = values[k]
            k += 1
        ahead[:] = 0
        for row in range(
            size
        ):  # anchors in (line - size, line]: the end of the previous block, the start of this one
            ahead = np.maximum(ahead, rows[row])
            crossing = np.maximum(ahead, behind[row + 1]) if row + 1 < size else ahead
            total += _schedule_dense(crossing, size, best)
        behind[size - 1] = rows[size - 1]
        for row in range(size - 2, -1, -1):
            behind[row] = np.maximum(rows[row], behind[row + 1])
    return total / size


@kernel
def _schedule_dense(values: Worth, size: int, best: npt.NDArray[np.int64]) -> int:
    for x in range(values.size):
        taken = values[x] + (best[x - size + 1] if x >= size else 0)
        best[x + 1] = max(best[x], taken)
    return int(best[values.size])
