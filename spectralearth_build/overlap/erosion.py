"""Erosion of runs by a square window: from valid pixels to anchors.

An anchor is valid if each of the S lines from its own line on contains [col, col + S). Along a line, this shortens each
run by S - 1. Across lines, it is the intersection of S consecutive lines. Van Herk's scheme (Pattern Recognition
Letters 13, 1992) needs three intersections per line for any S: divide the lines into blocks of S, and intersect
backward from the end and forward from the start of each block. Any S consecutive lines are the intersection of one
backward and one forward result.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.runs import Runs

Spans = npt.NDArray[np.int32]
"""Spans of columns in one line, [n, 2] of (start, stop), sorted and disjoint."""
_NOWHERE = np.iinfo(np.int32).max


def erode(runs: Runs, size: int) -> Runs:
    """Anchors (as runs) of the size x size windows that are entirely inside ``runs``."""
    narrowed = runs[runs[:, 2] - runs[:, 1] >= size]
    if len(narrowed) == 0:
        return narrowed
    first = int(narrowed[0, 0])
    spans = np.ascontiguousarray(narrowed[:, 1:] - np.array([0, size - 1], np.int32))
    if (np.diff(narrowed[:, 0]) > 0).all():  # as in most footprints
        return _erode_single(narrowed[:, 0] - first, spans, first, size)
    lines = np.arange(first, int(narrowed[-1, 0]) + 2)
    pointers = np.searchsorted(narrowed[:, 0], lines)
    return _intersect_down(pointers, spans, first, size)


@kernel
def _erode_single(lines: npt.NDArray[np.int32], spans: Spans, first: int, size: int) -> Runs:
    """Erode runs with at most one span per line: the latest start and the earliest stop of ``size`` lines."""
    height = lines[-1] + 1
    ends = np.empty((height, 2), np.int32)
    ends[:, 0], ends[:, 1] = _NOWHERE, -_NOWHERE
    for k in range(lines.size):
        ends[lines[k]] = spans[k]
    runs = np.empty((max(0, height - size + 1), 3), np.int32)
    back = np.empty((size, 2), np.int32)
    m = 0
    for block in range(0, height - size + 1, size):
        back[size - 1] = ends[block + size - 1]
        for k in range(size - 2, -1, -1):
            back[k, 0], back[k, 1] = (
                max(back[k + 1, 0], ends[block + k, 0]),
                min(back[k + 1, 1], ends[block + k, 1]),
            )
        start, stop = -_NOWHERE, _NOWHERE
        for k in range(min(size, height - size + 1 - block)):
            if k > 0:
                start = max(start, ends[block + size - 1 + k, 0])
                stop = min(stop, ends[block + size - 1 + k, 1])
            left, right = max(start, back[k, 0]), min(stop, back[k, 1])
            if left < right:
                runs[m, 0], runs[m, 1], runs[m, 2] = first + block + k, left, right
                m += 1
    return runs[:m].copy()


@kernel
def _intersect_down(pointers: npt.NDArray[np.int64], spans: Spans, first: int, size: int) -> Runs:
    windows = pointers.size - size  # lines - size + 1
    eroded = [spans[:0]]
    for block in range(0, windows, size):
        last = block + size - 1
        back = [spans[pointers[last] : pointers[last + 1]]]  # back[k]: lines last - k .. last
        for line in range(last - 1, block - 1, -1):
            back.append(_intersect(spans[pointers[line] : pointers[line + 1]], back[-1]))
        ahead = back[0]
        for k in range(min(size, windows - block)):
            common = back[size - 1 - k]
            if k > 0:
                entering = spans[pointers[last + k] : pointers[last + k + 1]]
                ahead = entering if k == 1 else _intersect(ahead, entering)
                common = _intersect(common, ahead)
            eroded.append(common)
    total = 0
    for common in eroded:
        total += common.shape[0]
    runs = np.empty((total, 3), np.int32)
    m = 0
    for k in range(1, len(eroded)):
        for r in range(eroded[k].shape[0]):
            runs[m, 0], runs[m, 1], runs[m, 2] = first + k - 1, eroded[k][r, 0], eroded[k][r, 1]
            m += 1
    return runs


@kernel
def _intersect(a: Spans, b: Spans) -> Spans:
    out = np.empty((a.shape[0] + b.shape[0], 2), np.int32)
    i = j = m = 0
    while i < a.shape[0] and j < b.shape[0]:
        start, stop = max(a[i, 0], b[j, 0]), min(a[i, 1], b[j, 1])
        if start < stop:
            out[m, 0], out[m, 1] = start, stop
            m += 1
        if a[i, 1] < b[j, 1]:
            i += 1
        else:
            j += 1
    return out[:m]
