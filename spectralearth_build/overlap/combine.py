"""Set operations on runs: int32 arrays [n, 3] of (line, start, stop), as in `runs`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.runs import Runs, packed, places

_END = np.iinfo(np.int64).max


def combined(a: Runs, b: Runs, only_a: bool, only_b: bool, both: bool) -> Runs:
    """The pixels only in ``a``, only in ``b`` or in both, as selected, by one merge of their borders."""
    selected = np.array([False, only_b, only_a, both])
    found = np.empty((len(a) + len(b), 3), np.int32)
    return found[: _combine(packed(a), packed(b), selected, found)].copy()


@kernel_of("int64(int32[:, ::1], int32[:, ::1], boolean[::1], int32[:, ::1])", writes=1)
def _combine(a: Runs, b: Runs, selected: npt.NDArray[np.bool_], found: Runs) -> int:
    """Write the runs of what is ``selected`` by twice whether inside ``a``, plus whether inside ``b``."""
    i = j = m = (
        0  # borders of a and of b that were passed, starts and stops alternating: inside after an odd number
    )
    inside = False
    while i < 2 * a.shape[0] or j < 2 * b.shape[0]:
        line = col = np.int64(_END)
        if i < 2 * a.shape[0]:
            line, col = np.int64(a[i >> 1, 0]), np.int64(a[i >> 1, 1 + (i & 1)])
        if j < 2 * b.shape[0]:
            other, at = np.int64(b[j >> 1, 0]), np.int64(b[j >> 1, 1 + (j & 1)])
            if other < line or (other == line and at < col):
                line, col = other, at
                j += 1
            else:
                if other == line and at == col:
                    j += 1
                i += 1
        else:
            i += 1
        now = selected[2 * (i & 1) + (j & 1)]
        if now and not inside:
            found[m, 0], found[m, 1] = line, col
        elif inside and not now:
            found[m, 2] = col
            m += 1
        inside = now
    return m


def merged(runs: npt.NDArray[np.integer[Any]]) -> Runs:
    """The union of runs [n, 3], which may be in any order and overlap."""
    begin = places(runs[:, 0], runs[:, 1])
    order = np.argsort(begin)
    end = np.maximum.accumulate(places(runs[order, 0], runs[order, 2]))  # of all runs so far
    first = np.flatnonzero(np.append(len(runs) > 0, begin[order[1:]] > end[:-1]))
    last = np.append(first[1:], len(runs)) - 1 if len(first) else first
    line = runs[order[first], 0].astype(np.int64)
    return np.column_stack(
        [line, runs[order[first], 1], end[last] - places(line, np.zeros(1, np.int64))]
    ).astype(np.int32)
