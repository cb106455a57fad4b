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
    order = np.argsort(places(runs[:, 0], runs[:, 1]))
    found = runs[order].astype(np.int32)
    return found[: _merge(found)].copy()


@kernel_of("int64(int32[:, ::1])", writes=1)
def _merge(runs: Runs) -> int:
    """Merge sorted runs in place; returns how many are left."""
    m = 0
    for k in range(runs.shape[0]):
        if m > 0 and runs[m - 1, 0] == runs[k, 0] and runs[k, 1] <= runs[m - 1, 2]:
            if runs[k, 2] > runs[m - 1, 2]:
                runs[m - 1, 2] = runs[k, 2]
        else:
            runs[m, 0], runs[m, 1], runs[m, 2] = runs[k, 0], runs[k, 1], runs[k, 2]
            m += 1
    return m
