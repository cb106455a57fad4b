"""Compiled kernels on runs: int32 arrays [n, 3] of (line, start, stop), sorted, disjoint, never touching.

The cost is proportional to runs, not to pixels. A tile has about one run per line, plus those of its clouds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel

Runs = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


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
    """Divide lines into segments that are covered by the same runs.

    Args:
        runs: sorted by line; runs with different keys may overlap.
        keys: one key per run; a segment's key is the XOR of the keys of the runs that cover it.

    Returns:
        Segments [m, 3], the number of runs that cover each (at least 1), and their keys.
    """
    n = runs.shape[0]
    segments = np.empty((2 * n, 3), np.int32)
    depths = np.empty(2 * n, np.int32)
    found = np.empty(2 * n, np.uint64)
    borders, order = np.empty(64, np.int32), np.empty(64, np.int64)
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
            while borders.size < 2 * (j - i):
                borders, order = np.empty(2 * borders.size, np.int32), np.empty(2 * order.size, np.int64)
            _sort_borders(runs, i, j, borders, order)
            m = _sweep_line(runs, keys, i, j, borders, order, segments, depths, found, m)
        i = j
    return segments[:m].copy(), depths[:m].copy(), found[:m].copy()


@kernel
def _sort_borders(runs: Runs, i: int, j: int, borders: npt.NDArray[np.int32], order: Ints) -> None:
    """Write starts and stops of runs i to j into ``borders``, and their sorted order into ``order``."""
    count = j - i
    for k in range(count):
        borders[k], borders[count + k] = runs[i + k, 1], runs[i + k, 2]
    if count > 12:
        order[: 2 * count] = np.argsort(borders[: 2 * count])
        return
    for k in range(2 * count):  # few: insertion sort, without an allocating call
        place = k
        while place > 0 and borders[order[place - 1]] > borders[k]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k


@kernel
def _sweep_line(
    runs: Runs,
    keys: Keys,
    i: int,
    j: int,
    borders: npt.NDArray[np.int32],
    order: Ints,
    segments: Runs,
    depths: npt.NDArray[np.int32],
    found: Keys,
    m: int,
) -> int:
    count = j - i
    first = m
    depth = 0
    key = np.uint64(0)
    previous = borders[order[0]]
    for step in range(2 * count):
        k = order[step]
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
                segments[m, 0], segments[m, 1], segments[m, 2] = runs[i, 0], previous, here
                depths[m], found[m] = depth, key
                m += 1
        depth += 1 if k < count else -1
        key ^= keys[i + k % count]
        previous = here
    return m


@kernel
def joined(segments: Runs, wanted: npt.NDArray[np.bool_]) -> Runs:
    """The wanted segments as runs, with adjacent segments joined."""
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
    """The parts of segments that no blocked run covers, and the index of the segment of each part."""
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
    """The same plane with lines and columns exchanged, so that segments run down the columns."""
    if len(segments) == 0:
        return segments, values
    turned, turned_values = _columns(segments, values)
    order = np.lexsort((turned[:, 1], turned[:, 0]))
    return turned[order], turned_values[order]


@kernel
def _columns(segments: Runs, values: Ints) -> tuple[Runs, Ints]:
    """Segments down the columns, unsorted. From line to line, only columns whose value changes cost time."""
    n = segments.shape[0]
    col0 = segments[:, 1].min()
    since = np.zeros(segments[:, 2].max() - col0, np.int32)  # line at which each column got its value
    runs, found = np.empty((1024, 3), np.int32), np.empty(1024, np.int64)
    m = 0
    above = above_stop = here = 0  # segments of the line above and of this one
    line = segments[0, 0]
    while above < above_stop or here < n:
        here_stop = here
        while here_stop < n and segments[here_stop, 0] == line:
            here_stop += 1
        i, j, col = above, here, col0
        while i < above_stop or j < here_stop:
            old, old_until = _value_at(segments, values, i, above_stop, col)
            new, new_until = _value_at(segments, values, j, here_stop, col)
            until = min(old_until, new_until)
            if old != new:
                if old > 0:
                    while m + until - col > found.size:
                        runs, found = _doubled(runs), np.concatenate((found, found))
                    for c in range(col, until):
                        runs[m, 0], runs[m, 1], runs[m, 2] = c, since[c - col0], line
                        found[m] = old
                        m += 1
                since[col - col0 : until - col0] = line
            col = until
            while i < above_stop and segments[i, 2] <= col:
                i += 1
            while j < here_stop and segments[j, 2] <= col:
                j += 1
        above, above_stop, here = here, here_stop, here_stop
        line += 1
        if above == above_stop and here < n:  # nothing is open: on to the next line that has something
            line = segments[here, 0]
    return runs[:m].copy(), found[:m].copy()


@kernel
def _value_at(segments: Runs, values: Ints, k: int, stop: int, col: int) -> tuple[int, int]:
    """Value of a line at a column, and the column where it ends; ``k``: the first segment that ends after it."""
    if k >= stop:
        return 0, np.iinfo(np.int32).max
    if segments[k, 1] > col:
        return 0, segments[k, 1]
    return values[k], segments[k, 2]


@kernel
def anchors_within_limit(anchors: Runs, flags: Runs, size: int, limit: int) -> Runs:
    """The anchors whose window (size x size) has at most ``limit`` pixels of ``flags``."""
    kept = np.empty((anchors.shape[0] + 16, 3), np.int32)
    m = 0
    if anchors.shape[0] == 0:
        return kept[:0]
    col0 = anchors[:, 1].min()
    width = anchors[:, 2].max() + size - col0
    columns = np.zeros(width, np.int32)  # flagged lines of the window, by column
    before = np.zeros(width + 1, np.int32)  # flagged pixels of the window's lines west of each column
    entering = leaving = 0
    for k in range(anchors.shape[0]):
        line, start, stop = anchors[k, 0], anchors[k, 1] - col0, anchors[k, 2] - col0
        while entering < flags.shape[0] and flags[entering, 0] < line + size:
            _add(columns, flags[entering, 1] - col0, flags[entering, 2] - col0, 1)
            entering += 1
        while leaving < entering and flags[leaving, 0] < line:
            _add(columns, flags[leaving, 1] - col0, flags[leaving, 2] - col0, -1)
            leaving += 1
        for c in range(start, stop + size - 1):
            before[c + 1] = before[c] + columns[c]
        c = start
        while c < stop:
            total = before[c + size] - before[c]
            first = c
            while c < stop and total <= limit:  # from one column to the next, at most ``size`` pixels more
                c += (limit - total) // size + 1
                total = before[min(c, stop - 1) + size] - before[min(c, stop - 1)]
            if c > first:
                if m == kept.shape[0]:
                    kept = _doubled(kept)
                kept[m, 0], kept[m, 1], kept[m, 2] = line, first + col0, min(c, stop) + col0
                m += 1
            if c < stop:
                c += (total - limit - 1) // size + 1
    return kept[:m].copy()


@kernel
def _add(columns: npt.NDArray[np.int32], start: int, stop: int, value: int) -> None:
    for c in range(max(0, start), min(columns.size, stop)):
        columns[c] += value


@kernel
def _doubled(runs: Runs) -> Runs:
    larger = np.empty((2 * runs.shape[0], 3), np.int32)
    larger[: runs.shape[0]] = runs
    return larger


@kernel
def pixels_in_windows(runs: Runs, anchors: npt.NDArray[np.int32], size: int) -> Ints:
    """Number of pixels of the runs in each window; anchors [n, 2] are (line, col)."""
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
def segment_of(runs: Runs, points: npt.NDArray[np.int32]) -> Ints:
    """For each point [n, 2], the index of the first run of its line that ends after it: the run it is in, if any."""
    found = np.empty(points.shape[0], np.int64)
    lines = runs[:, 0]
    for k in range(points.shape[0]):
        low, high = np.searchsorted(lines, points[k, 0]), np.searchsorted(lines, points[k, 0], side="right")
        while low < high:  # first run of the line that ends after the point
            middle = (low + high) // 2
            if runs[middle, 2] <= points[k, 1]:
                low = middle + 1
            else:
                high = middle
        found[k] = low
    return found


@kernel
def touches(runs: Runs, anchors: Runs, size: int) -> bool:
    """Whether any window anchored in ``anchors`` has a pixel of ``runs``."""
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
    """Which of the points [n, 2] of (line, col) are in the runs."""
    inside = np.zeros(points.shape[0], np.bool_)
    at = segment_of(runs, points)
    for k in range(points.shape[0]):
        r = at[k]
        inside[k] = r < runs.shape[0] and runs[r, 0] == points[k, 0] and runs[r, 1] <= points[k, 1]
    return inside
