"""Compiled set operations on runs: int32 arrays [n, 3] of (line, start, stop), as in `runs`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.runs import Runs

_LINE = 1 << 32
_ZERO = 1 << 31
_END = np.iinfo(np.int64).max


@kernel
def combined(a: Runs, b: Runs, only_a: bool, only_b: bool, both: bool) -> Runs:
    """The pixels only in ``a``, only in ``b`` or in both, as selected, by one merge of their borders."""
    out = np.empty((a.shape[0] + b.shape[0], 3), np.int32)
    i = j = m = 0  # borders of a and of b that were passed: inside after an odd number
    at_a, at_b = _border(a, 0), _border(b, 0)
    inside = False
    while at_a < _END or at_b < _END:
        here = min(at_a, at_b)
        if at_a == here:
            i += 1
            at_a = _border(a, i)
        if at_b == here:
            j += 1
            at_b = _border(b, j)
        in_a, in_b = i % 2 == 1, j % 2 == 1
        now = (both if in_b else only_a) if in_a else (in_b and only_b)
        if now and not inside:
            out[m, 0], out[m, 1] = here // _LINE, here % _LINE - _ZERO
        elif inside and not now:
            out[m, 2] = here % _LINE - _ZERO
            m += 1
        inside = now
    return out[:m].copy()


@kernel
def _border(runs: Runs, k: int) -> int:
    """Position of the k-th border of the runs, starts and stops alternating, as a number that increases along lines."""
    if k >= 2 * runs.shape[0]:
        return _END
    return int(runs[k // 2, 0]) * _LINE + int(runs[k // 2, 1 + k % 2]) + _ZERO


def merged(runs: npt.NDArray[np.integer[Any]]) -> Runs:
    """The union of runs [n, 3], which may be in any order and overlap."""
    keys = runs[:, 0].astype(np.int64) * _LINE + runs[:, 1]
    return _merged(runs[np.argsort(keys)].astype(np.int32))


@kernel
def _merged(runs: Runs) -> Runs:
    out = np.empty_like(runs)
    m = -1
    for k in range(runs.shape[0]):
        if m >= 0 and out[m, 0] == runs[k, 0] and runs[k, 1] <= out[m, 2]:
            out[m, 2] = max(out[m, 2], runs[k, 2])
        else:
            m += 1
            out[m] = runs[k]
    return out[: m + 1].copy()
