"""Shelves: place windows in rows, choose the best set of rows, and improve it locally.

The windows of one shelf have the same line. Along one line, the best set of windows that do not overlap is a weighted
interval scheduling problem, which one pass along the line solves exactly. Choosing the lines of the shelves is the same
problem across lines. Every fixed lattice is a set of shelves, so shelves are never worse than the best lattice for the
same value. Parts that are too far apart to collide are solved separately. The gaps between shelves are filled with
shelves again. Then windows leave their rows if that increases the value (`repack`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.connected import connected
from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs, packed, segment_of
from spectralearth_build.plan.fill import by_levels, free_of, room
from spectralearth_build.plan.problem import Problem
from spectralearth_build.plan.repack import Depth, Plane, planes_of, repacked
from spectralearth_build.plan.schedule import room_for_steps, shelves_of
from spectralearth_build.worth import Worth

SWEEPS = 8
"""Sweeps of local improvement. More of them gain too little for their time."""


def shelves(problem: Problem) -> Points:
    """Place windows piece by piece, in the best of a few layouts, until no more fit. A `Strategy`."""
    worthy = problem.worthy()
    if len(worthy.segments) == 0:
        return np.empty((0, 2), np.int32)
    depth = worthy.depth.astype(np.int64)
    piece = pieces(worthy.segments, problem.size)
    order = np.argsort(piece, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(piece))[:-1])
    return np.concatenate(
        [_best_layout(worthy.segments[g], depth[g], problem.worth, problem.size) for g in groups]
    )


def improved(problem: Problem, anchors: Points) -> Points:
    """Improve the windows at ``anchors``, and add more if they fit; the result has at least the same value."""
    worthy = problem.worthy()
    if len(worthy.segments) == 0:
        return anchors
    planes = planes_of(worthy.segments, worthy.depth.astype(np.int64))
    return _improved(planes, problem.worth, anchors, problem.size)


def _best_layout(segments: Runs, depth: Depth, worth: Worth, size: int) -> Points:
    """The best of a few layouts of one piece, improved.

    The layouts are shelves along the lines, shelves along the columns, and the deepest anchors first from each of the
    four corners, since small pieces are sometimes better filled from a corner. The first of the latter is the greedy
    strategy itself.
    """
    planes = planes_of(segments, depth)
    upright = (planes[0], planes[2])
    found = [plane.seen(filled(plane.rows, worth[plane.row_depth], size)) for plane in upright]
    found += [plane.seen(by_levels(plane.rows, plane.row_depth, size)) for plane in planes]
    reached = [worth[depth[segment_of(segments, anchors)]].sum() for anchors in found]
    return _improved(planes, worth, found[int(np.argmax(reached))], size)


def _improved(planes: Sequence[Plane], worth: Worth, anchors: Points, size: int) -> Points:
    moved = repacked(planes, worth, anchors, size, SWEEPS)
    left, parent = free_of(planes[0].rows, moved, size)
    return np.concatenate([moved, filled(left, worth[planes[0].row_depth][parent], size)])


def filled(segments: Runs, values: Worth, size: int) -> Points:
    """Place the best shelves, then the best shelves in the remaining area, and so on.

    Args:
        segments: int32 [m, 3] of (line, start, stop), sorted and disjoint.
        values: int64 [m], positive value of a window anchored in each segment.
        size: edge of a window.
    """
    placed = [np.empty((0, 2), np.int32)]
    while len(segments):
        anchors, _ = best_shelves(segments, values, size)
        placed.append(anchors)
        segments, parent = free_of(segments, anchors, size)
        values = values[parent]
    return np.concatenate(placed)


def pieces(segments: Runs, size: int) -> npt.NDArray[np.int64]:
    """Number the independent parts of the plane: no window of one overlaps a window of another.

    Anchors closer than ``size`` are in the same or in neighbouring cells of a grid with that pitch.
    """
    line, first, last = (segments[:, 0] // size, segments[:, 1] // size, (segments[:, 2] - 1) // size)
    line, first, last = line - line.min(), first - first.min(), last - first.min()
    width = int(last.max()) + 2  # the last column of cells is empty, so neighbours never wrap around
    row, cells = line.astype(np.int64) * width, (int(line.max()) + 2) * width + 1
    begun, ended = (np.bincount(row + at, minlength=cells) for at in (first, last + 1))
    occupied = np.cumsum(begun - ended) > 0
    cell = np.flatnonzero(occupied)
    pairs = np.concatenate(
        [np.stack([cell, cell + step], axis=1) for step in (1, width - 1, width, width + 1)]
    )
    piece = connected(pairs[occupied[pairs[:, 1]]], cells)
    return np.asarray(np.unique(piece[row + first], return_inverse=True)[1], np.int64)


def best_shelves(segments: Runs, values: Worth, size: int) -> tuple[Points, int]:
    """The set of shelves with the greatest total value, exactly, and that value."""
    first = np.flatnonzero(np.diff(segments[:, 0], prepend=segments[0, 0] - 1))
    lines = segments[first, 0]
    pointers = np.append(first, len(segments))
    before = np.searchsorted(lines, lines - size, side="right")
    columns = np.add.reduceat(segments[:, 2] - segments[:, 1], first, dtype=np.int64)
    placed = np.empty((room(Region(segments).box, size), 2), np.int32)
    best = np.empty(len(lines) + 1, np.int64)
    steps = room_for_steps(int(columns.max()))
    weights = np.ascontiguousarray(values, np.int64)
    found = shelves_of(packed(segments), weights, pointers, before, size, steps, best, placed)
    return placed[len(placed) - found :].copy(), int(best[-1])
