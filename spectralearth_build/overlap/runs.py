"""Operations on runs: int32 arrays [n, 3] of (line, start, stop), sorted, disjoint, never touching.

The cost is proportional to runs, not to pixels. A tile has about one run per line, plus those of its clouds. Whatever
NumPy does as fast is left to NumPy, because each compiled loop costs the first user a part of a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of

Runs = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LINE = 1 << 32


def packed(runs: npt.NDArray[np.integer[Any]]) -> Runs:
    """The same runs, or points, as compiled loops take them: int32, line by line in memory."""
    return np.ascontiguousarray(runs, np.int32)


def places(lines: npt.NDArray[np.integer[Any]], cols: npt.NDArray[np.integer[Any]]) -> Ints:
    """Pixels as numbers that increase along each line and from line to line."""
    return lines.astype(np.int64) * _LINE + cols


def paint(runs: Runs, mask: Flags, line0: int, col0: int) -> None:
    """Set the pixels of the runs in a mask [line, col] whose first pixel is (line0, col0)."""
    height, width = mask.shape
    line = runs[:, 0] - line0
    within = runs[(line >= 0) & (line < height)]
    line = (within[:, 0] - line0).astype(np.int64)
    change = np.zeros((height, width + 1), np.int8)  # 1 where a run begins, -1 where it ends
    for end, step in ((1, 1), (2, -1)):
        np.add.at(change, (line, np.clip(within[:, end] - col0, 0, width)), step)
    mask |= np.cumsum(change[:, :width], axis=1, dtype=np.int8) > 0


def sweep(runs: Runs, keys: Keys) -> tuple[Runs, npt.NDArray[np.int32], Keys]:
    """Divide lines into segments that are covered by the same runs.

    Args:
        runs: runs, in any order; those with different keys may overlap.
        keys: one key per run; a segment's key is the XOR of the keys of the runs that cover it.

    Returns:
        Segments [m, 3], the number of runs that cover each (at least 1), and their keys.
    """
    n = len(runs)
    place = np.concatenate([places(runs[:, 0], runs[:, 1]), places(runs[:, 0], runs[:, 2])])
    order = np.argsort(place, kind="stable")  # which is fast, as the runs of each region are sorted
    place = place[order]
    change = np.where(order < n, np.int32(1), np.int32(-1))
    last = np.flatnonzero(np.append(place[1:] != place[:-1], n > 0))  # the last border at each place
    depth = np.cumsum(change, dtype=np.int32)[last]
    key = np.bitwise_xor.accumulate(keys[order % max(n, 1)])[last]
    column = np.concatenate([runs[:, 1], runs[:, 2]])[order[last]]
    found = np.flatnonzero(depth > 0)  # from each of these places to the next
    same = (depth[1:] == depth[:-1]) & (key[1:] == key[:-1])
    first = np.flatnonzero(~np.append(False, same)[found])
    begin, end = found[first], np.append(found[first[1:] - 1], found[-1:]) + 1
    line = runs[order[last[begin]] % max(n, 1), 0]
    return np.stack([line, column[begin], column[end]], axis=1), depth[begin], key[begin]


def joined(segments: Runs, wanted: Flags) -> Runs:
    """The wanted segments as runs, with adjacent segments joined."""
    chosen = segments[wanted]
    if len(chosen) == 0:
        return chosen
    apart = (chosen[1:, 0] != chosen[:-1, 0]) | (chosen[1:, 1] != chosen[:-1, 2])
    first = np.flatnonzero(np.append(True, apart))
    last = np.append(first[1:], len(chosen)) - 1
    return np.stack([chosen[first, 0], chosen[first, 1], chosen[last, 2]], axis=1)


def outside(segments: Runs, blocked: Runs) -> tuple[Runs, Ints]:
    """The parts of segments that no blocked run covers, and the index of the segment of each part."""
    starts, stops = places(segments[:, 0], segments[:, 1]), places(segments[:, 0], segments[:, 2])
    first = np.searchsorted(places(blocked[:, 0], blocked[:, 2]), starts, side="right")
    last = np.searchsorted(places(blocked[:, 0], blocked[:, 1]), stops, side="left")
    gaps = np.maximum(last - first, 0) + 1  # before, between and after the blocked runs of each segment
    parent = np.repeat(np.arange(len(segments)), gaps)
    before = np.arange(len(parent)) - np.repeat(np.cumsum(gaps) - gaps - first, gaps) - 1
    start, stop = segments[parent, 1], segments[parent, 2]
    later, sooner = before >= first[parent], before + 1 < last[parent]
    start[later], stop[sooner] = blocked[before[later], 2], blocked[before[sooner] + 1, 1]
    kept = start < stop
    parts = np.column_stack([segments[parent[kept], 0], start[kept], stop[kept]])
    return parts, parent[kept]


def transposed(segments: Runs, values: Ints) -> tuple[Runs, Ints]:
    """The same plane with lines and columns exchanged, so that segments run down the columns.

    Only columns whose value changes from one line to the next cost time.

    Args:
        segments: int32 [m, 3] of (line, start, stop), sorted and disjoint.
        values: int64 [m], positive value of each segment.

    Returns:
        Segments of (column, first line, stop line), and their values.
    """
    if len(segments) == 0:
        return segments, values
    col0, width = int(segments[:, 1].min()), int(segments[:, 2].max() - segments[:, 1].min())
    place, since = np.zeros(width + 1, np.int64), np.zeros(width, np.int32)
    plane = packed(segments), values, col0, since
    _transpose(*plane, place, np.empty((0, 3), np.int32), np.empty(0, np.int64))  # counts
    place = np.cumsum(place)
    turned, turned_values = np.empty((place[-1], 3), np.int32), np.empty(place[-1], np.int64)
    _transpose(*plane, place, turned, turned_values)
    return turned, turned_values


@kernel_of(
    "void(int32[:, ::1], int64[::1], int64, int32[::1], int64[::1], int32[:, ::1], int64[::1])", writes=4
)
def _transpose(
    segments: Runs,
    values: Ints,
    col0: int,
    since: npt.NDArray[np.int32],
    place: Ints,
    turned: Runs,
    turned_values: Ints,
) -> None:
    """Write the segments down the columns from ``place`` of each column on; count them there if there is no room.

    Each line is compared with the line above it. ``since`` has, for each column from ``col0`` on, the line where its
    value last changed.
    """
    above = here = stop = 0  # segments of the line above: [above, here); of the line: [here, stop)
    line = np.int64(0)
    while above < here or stop < segments.shape[0]:
        line = line + 1 if above < here else np.int64(segments[here, 0])
        while stop < segments.shape[0] and segments[stop, 0] == line:
            stop += 1
        i, j, col = above, here, np.int64(col0)
        while i < here or j < stop:
            before, now, until = np.int64(0), np.int64(0), np.int64(_LINE)
            if i < here:
                inside = segments[i, 1] <= col
                before, until = (values[i], segments[i, 2]) if inside else (before, segments[i, 1])
            if j < stop:
                inside = segments[j, 1] <= col
                now, other = (values[j], segments[j, 2]) if inside else (now, segments[j, 1])
                until = other if other < until else until
            if before != now:
                for x in range(col - col0, until - col0):
                    if before > 0 and turned_values.size == 0:
                        place[x + 1] += 1
                    elif before > 0:
                        k = place[x]
                        turned[k, 0], turned[k, 1], turned[k, 2] = x + col0, since[x], line
                        turned_values[k] = before
                        place[x] = k + 1
                    since[x] = line
            col = until
            if i < here and segments[i, 2] <= col:
                i += 1
            if j < stop and segments[j, 2] <= col:
                j += 1
        above, here = here, stop


def anchors_within_limit(anchors: Runs, flags: Runs, size: int, limit: int) -> Runs:
    """The anchors whose window (size x size) has at most ``limit`` pixels of ``flags``."""
    if len(anchors) == 0:
        return anchors
    col0 = int(anchors[:, 1].min())
    width = int(anchors[:, 2].max()) + size - col0
    columns, before = np.zeros(width, np.int32), np.zeros(width + 1, np.int32)
    kept = np.empty((int(((anchors[:, 2] - anchors[:, 1] + 1) // 2).sum()), 3), np.int32)
    found = _within_limit(packed(anchors), packed(flags), size, limit, col0, columns, before, kept)
    return kept[:found].copy()


@kernel_of(
    "int64(int32[:, ::1], int32[:, ::1], int64, int64, int64, int32[::1], int32[::1], int32[:, ::1])",
    writes=3,
)
def _within_limit(
    anchors: Runs,
    flags: Runs,
    size: int,
    limit: int,
    col0: int,
    columns: npt.NDArray[np.int32],
    before: npt.NDArray[np.int32],
    kept: Runs,
) -> int:
    """Write the anchors within the limit to ``kept``; returns their number.

    ``columns`` has, for each column from ``col0`` on, the flagged lines of the window, and ``before`` the flagged
    pixels of the window's lines west of it. Both begin with zeros.
    """
    m = entering = leaving = 0
    for k in range(anchors.shape[0]):
        line, start, stop = anchors[k, 0], anchors[k, 1] - col0, anchors[k, 2] - col0
        while entering < flags.shape[0] and flags[entering, 0] < line + size:
            for c in range(max(0, flags[entering, 1] - col0), min(columns.size, flags[entering, 2] - col0)):
                columns[c] += 1
            entering += 1
        while leaving < entering and flags[leaving, 0] < line:
            for c in range(max(0, flags[leaving, 1] - col0), min(columns.size, flags[leaving, 2] - col0)):
                columns[c] -= 1
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
                kept[m, 0], kept[m, 1], kept[m, 2] = line, first + col0, min(c, stop) + col0
                m += 1
            if c < stop:
                c += (total - limit - 1) // size + 1
    return m


def pixels_in_windows(runs: Runs, anchors: npt.NDArray[np.int32], size: int) -> Ints:
    """Number of pixels of the runs in each window; anchors [n, 2] are (line, col)."""
    counts = np.zeros(len(anchors), np.int64)
    first = np.searchsorted(runs[:, 0], anchors[:, 0])
    _count(packed(runs), packed(anchors), first, size, counts)
    return counts


@kernel_of("void(int32[:, ::1], int32[:, ::1], int64[::1], int64, int64[::1])", writes=1)
def _count(runs: Runs, anchors: npt.NDArray[np.int32], first: Ints, size: int, counts: Ints) -> None:
    for k in range(anchors.shape[0]):
        line, col = anchors[k, 0], anchors[k, 1]
        r = first[k]
        while r < runs.shape[0] and runs[r, 0] < line + size:
            counts[k] += max(0, min(runs[r, 2], col + size) - max(runs[r, 1], col))
            r += 1


def segment_of(runs: Runs, points: npt.NDArray[np.int32]) -> Ints:
    """For each point [n, 2], the index of the first run of its line that ends after it: the run it is in, if any."""
    return np.searchsorted(places(runs[:, 0], runs[:, 2]), places(points[:, 0], points[:, 1]), side="right")


def touches(runs: Runs, anchors: Runs, size: int) -> bool:
    """Whether any window anchored in ``anchors`` has a pixel of ``runs``."""
    return _touches(packed(runs), packed(anchors), size)


@kernel_of("boolean(int32[:, ::1], int32[:, ::1], int64)")
def _touches(runs: Runs, anchors: Runs, size: int) -> bool:
    first = 0  # the first run that is not above the window
    for k in range(anchors.shape[0]):
        while first < runs.shape[0] and runs[first, 0] < anchors[k, 0]:
            first += 1
        r = first
        while r < runs.shape[0] and runs[r, 0] < anchors[k, 0] + size:
            if runs[r, 1] < anchors[k, 2] + size - 1 and runs[r, 2] > anchors[k, 1]:
                return True
            r += 1
    return False


def contains_points(runs: Runs, points: npt.NDArray[np.int32]) -> Flags:
    """Which of the points [n, 2] of (line, col) are in the runs."""
    if len(runs) == 0:
        return np.zeros(len(points), np.bool_)
    at = segment_of(runs, points)
    run = runs[np.minimum(at, len(runs) - 1)]
    inside: Flags = (at < len(runs)) & (run[:, 0] == points[:, 0]) & (run[:, 1] <= points[:, 1])
    return inside
