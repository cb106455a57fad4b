"""Erosion of runs by a square window: from valid pixels to anchors.

An anchor is valid if each of the S lines from its own line on contains [col, col + S). Along a line, this shortens each
run by S - 1. Across lines, it is the intersection of S consecutive lines. The intersection of k lines, with itself
moved up by at most k lines, is that of up to 2 k lines. So any S takes about log2 S steps, each over all lines at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spectralearth_build.overlap.combine import combined
from spectralearth_build.overlap.runs import Runs

_NOWHERE = np.iinfo(np.int32).max


def erode(runs: Runs, size: int) -> Runs:
    """Anchors (as runs) of the size x size windows that are entirely inside ``runs``."""
    narrowed = runs[runs[:, 2] - runs[:, 1] >= size] - np.array([0, 0, size - 1], np.int32)
    if len(narrowed) == 0:
        return narrowed
    if (np.diff(narrowed[:, 0]) > 0).all():  # as in most footprints
        return _erode_single(narrowed, size)
    for step in _steps(size):
        narrowed = combined(narrowed, narrowed - np.array([step, 0, 0], np.int32), False, False, True)
    return narrowed


def _erode_single(runs: Runs, size: int) -> Runs:
    """Erode runs with at most one run per line: the latest start and the earliest stop of ``size`` lines."""
    first, height = runs[0, 0], int(runs[-1, 0] - runs[0, 0]) + 1
    start, stop = np.full(height, _NOWHERE, np.int32), np.full(height, -_NOWHERE, np.int32)
    start[runs[:, 0] - first], stop[runs[:, 0] - first] = runs[:, 1], runs[:, 2]
    for step in _steps(size):
        if step >= len(start):
            return runs[:0]
        start, stop = np.maximum(start[:-step], start[step:]), np.minimum(stop[:-step], stop[step:])
    line = np.flatnonzero(start < stop)
    return np.stack([line + first, start[line], stop[line]], axis=1).astype(np.int32)


def _steps(size: int) -> Iterator[int]:
    """By how many lines to move what k lines have in common, so that k grows from 1 to ``size``."""
    lines = 1
    while lines < size:
        step = min(lines, size - lines)
        yield step
        lines += step
