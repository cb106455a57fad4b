"""Set operations on runs: int32 arrays [n, 3] of (line, start, stop), as in `runs`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.runs import Ints, Runs, places


def combined(a: Runs, b: Runs, only_a: bool, only_b: bool, both: bool) -> Runs:
    """The pixels only in ``a``, only in ``b`` or in both, as selected, by one merge of their borders."""
    selected = np.array([False, only_b, only_a, both])
    place = np.empty(2 * (len(a) + len(b)), np.int64)
    place = place[: _merge(_borders(a), _borders(b), selected, place)]
    line = (place + (1 << 31)) >> 32
    col = place - (line << 32)
    return np.stack([line[::2], col[::2], col[1::2]], axis=1).astype(np.int32)


def _borders(runs: Runs) -> Ints:
    """Places of the borders of runs, starts and stops alternating."""
    return places(runs[:, :1], runs[:, 1:]).ravel()


@kernel_of("int64(int64[::1], int64[::1], boolean[::1], int64[::1])", writes=1)
def _merge(a: Ints, b: Ints, selected: npt.NDArray[np.bool_], out: Ints) -> int:
    """Write the borders of what is selected by twice whether inside ``a``, plus whether inside ``b``."""
    i = j = m = 0  # borders of a and of b that were passed: inside after an odd number
    inside = False
    while i < a.size or j < b.size:
        here = b[j] if i == a.size or (j < b.size and b[j] < a[i]) else a[i]
        if i < a.size and a[i] == here:
            i += 1
        if j < b.size and b[j] == here:
            j += 1
        now = selected[2 * (i & 1) + (j & 1)]
        if now != inside:
            out[m] = here
            m += 1
            inside = now
    return m


def merged(runs: npt.NDArray[np.integer[Any]]) -> Runs:
    """The union of runs [n, 3], which may be in any order and overlap."""
    start = places(runs[:, 0], runs[:, 1])
    order = np.argsort(start)
    start, in_order = start[order], runs[order].astype(np.int32)
    reach = np.maximum.accumulate(places(in_order[:, 0], in_order[:, 2]))
    first = np.flatnonzero(np.append(True, start[1:] > reach[:-1])[: len(runs)])
    found = in_order[first]
    # The run that reaches farthest ends the union: its stop is what remains of the place without the line.
    last = np.append(first[1:], len(runs))[: len(first)] - 1
    found[:, 2] = reach[last] - places(found[:, 0], np.zeros(len(found), np.int32))
    return found
