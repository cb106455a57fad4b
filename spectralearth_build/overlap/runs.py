"""Compiled kernels over runs: int32 arrays [n, 3] of (line, start, stop), sorted, disjoint, never touching.

Everything costs in proportion to runs, not to pixels; a tile has about one run a line, plus those of its clouds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel

Runs = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@kernel
def runs_of_mask(mask: npt.NDArray[np.bool_], line0: int, col0: int) -> Runs:
    """Runs of the true pixels of a mask [line, col] whose first pixel is (line0, col0)."""
    height, width = mask.shape
    count = 0
    for i in range(height):
        inside = False
        for j in range(width):
            if mask[i, j] and not inside:
                count += 1
            inside = mask[i, j]
    runs = np.empty((count, 3), np.int32)
    k = -1
    for i in range(height):
        inside = False
        for j in range(width):
            if mask[i, j]:
                if not inside:
                    k += 1
                    runs[k, 0], runs[k, 1] = line0 + i, col0 + j
                runs[k, 2] = col0 + j + 1
            inside = mask[i, j]
    return runs


@kernel
def paint(runs: Runs, mask: npt.NDArray[np.bool_], line0: int, col0: int) -> None:
    """Set the pixels of the runs in a mask [line, col] whose first pixel is (line0, col0)."""
    height, width = mask.shape
    for k in range(runs.shape[0]):
        i = runs[k, 0] - line0
        if 0 <= i < height:
            mask[i, max(0, runs[k, 1] - col0) : max(0, min(width, runs[k, 2] - col0))] = True


@kernel
def sweep(runs: Runs, keys: Keys) -> tuple[Runs, npt.NDArray[np.int32], Keys]:
    """Cut lines into segments over which the same runs lie.

    Args:
        runs: sorted by line; runs with different keys may overlap.
        keys: one key for each run; a segment's key is the XOR of the keys over it.

    Returns:
        Segments [m, 3], how many runs lie over each (at least 1), and their keys.
    """
    n = runs.shape[0]
    segments = np.empty((2 * n, 3), np.int32)
    depths = np.empty(2 * n, np.int32)
    found = np.empty(2 * n, np.uint64)
    m = 0
    i = 0
    while i < n:
        j = i
        while j < n and runs[j, 0] == runs[i, 0]:
            j += 1
        if j == i + 1:  # the common case, a line with one run
            segments[m] = runs[i]
            depths[m], found[m] = 1, keys[i]
            m += 1
        else:
            m = _sweep_line(runs[i:j], keys[i:j], segments, depths, found, m)
        i = j
    return segments[:m].copy(), depths[:m].copy(), found[:m].copy()


@kernel
def _sweep_line(
    runs: Runs, keys: Keys, segments: Runs, depths: npt.NDArray[np.int32], found: Keys, m: int
) -> int:
    count = runs.shape[0]
    borders = np.concatenate((runs[:, 1], runs[:, 2]))
    order = np.argsort(borders)
    first = m
    depth = 0
    key = np.uint64(0)
    previous = borders[order[0]]
    for k in order:
        here = borders[k]
        if here > previous and depth > 0:
            if (
                m > first
                and segments[m - 1, 2] == previous
                and found[m - 1] == key
                and depths[m - 1] == depth
            ):
                segments[m - 1, 2] = here
            else:
                segments[m, 0], segments[m, 1], segments[m, 2] = runs[0, 0], previous, here
                depths[m], found[m] = depth, key
                m += 1
        depth += 1 if k < count else -1
        key ^= keys[k % count]
        previous = here
    return m


@kernel
def joined(segments: Runs, wanted: npt.NDArray[np.bool_]) -> Runs:
    """The wanted segments as runs: those that touch are joined."""
    runs = np.empty((segments.shape[0], 3), np.int32)
    m = 0
    for k in range(segments.shape[0]):
        if not wanted[k]:
            continue
        if m > 0 and runs[m - 1, 0] == segments[k, 0] and runs[m - 1, 2] == segments[k, 1]:
            runs[m - 1, 2] = segments[k, 2]
        else:
            runs[m] = segments[k]
            m += 1
    return runs[:m].copy()


@kernel
def outside(segments: Runs, blocked: Runs) -> tuple[Runs, Ints]:
    """What of the segments no blocked run covers, and which segment each piece comes from."""
    size = segments.shape[0] + blocked.shape[0]
    pieces, parents = np.empty((size, 3), np.int32), np.empty(size, np.int64)
    m = b = 0
    for k in range(segments.shape[0]):
        line, start, stop = segments[k]
        while b < blocked.shape[0] and (
            blocked[b, 0] < line or (blocked[b, 0] == line and blocked[b, 2] <= start)
        ):
            b += 1
        c = b
        while start < stop:
            blocks = c < blocked.shape[0] and blocked[c, 0] == line and blocked[c, 1] < stop
            until = blocked[c, 1] if blocks else stop
            if until > start:
                pieces[m, 0], pieces[m, 1], pieces[m, 2] = line, start, until
                parents[m] = k
                m += 1
            start = blocked[c, 2] if blocks else stop
            c += 1
    return pieces[:m].copy(), parents[:m].copy()


def transposed(segments: Runs, values: Ints) -> tuple[Runs, Ints]:
    """The same plane with lines and columns exchanged: segments run down the columns."""
    if len(segments) == 0:
        return segments, values
    turned, turned_values = _columns(segments, values)
    order = np.lexsort((turned[:, 1], turned[:, 0]))
    return turned[order], turned_values[order]


@kernel
def _columns(segments: Runs, values: Ints) -> tuple[Runs, Ints]:
    """Down the lines, a segment in a column ends where the value changes; unsorted."""
    col0, col1 = segments[:, 1].min(), segments[:, 2].max()
    width = col1 - col0
    open_value, since, last = np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64)
    runs, found = np.empty((4 * width + 16, 3), np.int32), np.empty(4 * width + 16, np.int64)
    m = 0
    for k in range(segments.shape[0] + 1):
        done = k == segments.shape[0]  # close what is still open
        line = 0 if done else segments[k, 0]
        for c in range(0 if done else segments[k, 1] - col0, width if done else segments[k, 2] - col0):
            value = np.int64(0) if done else values[k]
            if open_value[c] == value and last[c] == line - 1:
                last[c] = line
                continue
            if open_value[c] > 0:
                if m == runs.shape[0]:
                    runs, found = _doubled(runs), np.concatenate((found, found))
                runs[m, 0], runs[m, 1], runs[m, 2] = c + col0, since[c], last[c] + 1
                found[m] = open_value[c]
                m += 1
            open_value[c], since[c], last[c] = value, line, line
    return runs[:m].copy(), found[:m].copy()


@kernel
def anchors_within_limit(anchors: Runs, flags: Runs, size: int, limit: int) -> Runs:
    """Those anchors whose window (size x size) holds at most ``limit`` pixels of ``flags``."""
    kept = np.empty((anchors.shape[0] + 16, 3), np.int32)
    m = 0
    if anchors.shape[0] == 0:
        return kept[:0]
    col0 = anchors[:, 1].min()
    columns = np.zeros(anchors[:, 2].max() + size - col0, np.int64)  # flagged lines of the window, by column
    width = columns.size
    entering = leaving = 0
    for k in range(anchors.shape[0]):
        line, start, stop = anchors[k]
        while entering < flags.shape[0] and flags[entering, 0] < line + size:
            _add(columns, flags[entering, 1] - col0, flags[entering, 2] - col0, 1, width)
            entering += 1
        while leaving < entering and flags[leaving, 0] < line:
            _add(columns, flags[leaving, 1] - col0, flags[leaving, 2] - col0, -1, width)
            leaving += 1
        total = columns[start - col0 : start - col0 + size].sum() if entering > leaving else 0
        inside = False
        for c in range(start - col0, stop - col0):
            if total <= limit:
                if not inside:
                    if m == kept.shape[0]:
                        kept = _doubled(kept)
                    kept[m, 0], kept[m, 1] = line, c + col0
                    m += 1
                kept[m - 1, 2] = c + col0 + 1
            inside = total <= limit
            if c + 1 < stop - col0:
                total += columns[c + size] - columns[c]
    return kept[:m].copy()


@kernel
def _add(columns: Ints, start: int, stop: int, value: int, width: int) -> None:
    for c in range(max(0, start), min(width, stop)):
        columns[c] += value


@kernel
def _doubled(runs: Runs) -> Runs:
    larger = np.empty((2 * runs.shape[0], 3), np.int32)
    larger[: runs.shape[0]] = runs
    return larger


@kernel
def pixels_in_windows(runs: Runs, anchors: npt.NDArray[np.int32], size: int) -> Ints:
    """How many pixels of the runs lie in each window; anchors [n, 2] are (line, col)."""
    counts = np.zeros(anchors.shape[0], np.int64)
    lines = runs[:, 0]
    for k in range(anchors.shape[0]):
        line, col = anchors[k, 0], anchors[k, 1]
        r = np.searchsorted(lines, line)
        while r < runs.shape[0] and runs[r, 0] < line + size:
            counts[k] += max(0, min(runs[r, 2], col + size) - max(runs[r, 1], col))
            r += 1
    return counts


@kernel
def touches(runs: Runs, anchors: Runs, size: int) -> bool:
    """Whether any window anchored in ``anchors`` holds a pixel of ``runs``."""
    lines = runs[:, 0]
    for k in range(anchors.shape[0]):
        line, start, stop = anchors[k]
        r = np.searchsorted(lines, line)
        while r < runs.shape[0] and runs[r, 0] < line + size:
            if runs[r, 1] < stop + size - 1 and runs[r, 2] > start:
                return True
            r += 1
    return False


@kernel
def contains_points(runs: Runs, points: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which of the points [n, 2] of (line, col) lie in the runs."""
    inside = np.zeros(points.shape[0], np.bool_)
    lines = runs[:, 0]
    for k in range(points.shape[0]):
        line, col = points[k, 0], points[k, 1]
        low, high = np.searchsorted(lines, line), np.searchsorted(lines, line, side="right")
        while low < high:  # first run of the line that ends beyond the point
            middle = (low + high) // 2
            if runs[middle, 2] <= col:
                low = middle + 1
            else:
                high = middle
        inside[k] = low < runs.shape[0] and runs[low, 0] == line and runs[low, 1] <= col
    return inside
