"""Convert between polygons and runs: footprints to runs, runs to outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.kernels import kernel_of
from spectralearth_build.overlap.lattice import col_at, easting, line_at, northing
from spectralearth_build.overlap.region import Region, merged
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.overlap.runs import Ints, Runs, packed

Floats = npt.NDArray[np.float64]
_FAR = np.inf
"""Column of a crossing that a line lacks."""


def region_of_footprint(footprint: BaseGeometry, epsg: int) -> Region:
    """Pixels of a lattice whose centre is in a footprint in longitude and latitude."""
    edges = []
    for part in shapely.get_parts(footprint):
        for ring in shapely.get_rings(part):
            lon, lat = shapely.get_coordinates(ring).T
            x, y = transformer(4326, epsg).transform(lon, lat)
            points = np.stack([col_at(np.asarray(x)), line_at(np.asarray(y))], axis=1)
            edges.append(np.concatenate([points[:-1], points[1:]], axis=1))
    return Region(_fill(np.concatenate(edges))) if edges else Region.empty()


def _fill(edges: Floats) -> Runs:
    """Even-odd fill of edges [n, 4] of (col, line, col, line), at pixel centres."""
    ends = np.ascontiguousarray(np.ceil(edges[:, 1::2] - 0.5), np.int64)  # the lines that each edge crosses
    first, stop = int(ends.min()), int(ends.max())
    crossings, count = np.full((stop - first, 2), _FAR), np.zeros(stop - first, np.int64)
    if not _cross(edges, ends - first, first, count, crossings):
        return _fill_any(edges, ends)
    crossings.sort(axis=1)
    inside = np.ceil(crossings - 0.5)
    line = np.flatnonzero((count == 2) & (inside[:, 0] < inside[:, 1]))
    return np.column_stack([line + first, inside[line]]).astype(np.int32)


@kernel_of("boolean(float64[:, ::1], int64[:, ::1], int64, int64[::1], float64[:, ::1])", writes=2)
def _cross(edges: Floats, ends: Ints, line0: int, count: Ints, crossings: Floats) -> bool:
    """Write the columns where edges cross each line; returns whether no line is crossed more than twice.

    Args:
        edges: edges [n, 4].
        ends: for each edge, the lines that it crosses: from the smaller to before the larger, counted from ``line0``.
        line0: number of the first line.
        count: number of crossings of each line, zeros.
        crossings: the columns, [line, 2].
    """
    for e in range(edges.shape[0]):
        col, at, to_col, to = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        for line in range(min(ends[e, 0], ends[e, 1]), max(ends[e, 0], ends[e, 1])):
            if count[line] == 2:
                return False
            crossings[line, count[line]] = col + (line + line0 + 0.5 - at) / (to - at) * (to_col - col)
            count[line] += 1
    return True


def _fill_any(edges: Floats, ends: Ints) -> Runs:
    """Fill edges that cross some lines more than twice, which cross ``ends`` [n, 2]."""
    first, count = ends.min(axis=1), np.abs(ends[:, 1] - ends[:, 0])
    edge = np.repeat(np.arange(len(edges)), count)
    line = np.arange(len(edge)) + np.repeat(first - np.cumsum(count) + count, count)
    col, at, to_col, to = edges[edge].T
    crossing = col + (line + 0.5 - at) / (to - at) * (to_col - col)
    order = np.lexsort((crossing, line))  # each line is crossed in pairs
    runs = np.column_stack([line[order[::2]], np.ceil(crossing[order] - 0.5).astype(np.int64).reshape(-1, 2)])
    return merged(runs[runs[:, 1] < runs[:, 2]]).runs


def outline(runs: Runs, shift: float = 0.0, tolerance: float = 0.0) -> BaseGeometry:
    """The outline of one set of pixels; see `outlines`."""
    shape: BaseGeometry = outlines([runs], shift, tolerance)[0]
    return shape


def outlines(sets: Sequence[Runs], shift: float = 0.0, tolerance: float = 0.0) -> npt.NDArray[np.object_]:
    """The outlines of sets of pixels, in metres of the zone, all at once.

    Args:
        sets: sets of pixels, as runs.
        shift: number of pixels to move the outlines down and right (half a window: from anchors to centres).
        tolerance: tolerance for simplifying the sides, in pixels; with 1, a slanted staircase becomes a straight line.

    Returns:
        One geometry per set; an empty polygon if the set has no pixels.
    """
    found = np.full(len(sets), shapely.Polygon(), object)
    runs = np.concatenate(sets) if len(sets) else np.empty((0, 3), np.int32)
    if len(runs) == 0:
        return found
    owner = np.repeat(np.arange(len(sets)), [len(each) for each in sets])
    chain = _chains(_apart(runs, owner))
    stacks = _stacks(runs, chain, tolerance)
    owners, first = np.unique(owner[np.unique(chain, return_index=True)[1]], return_index=True)
    for k, group in zip(owners, np.split(stacks, first[1:]), strict=True):
        found[k] = shapely.union_all(group) if len(group) > 1 else group[0]
    return np.asarray(
        shapely.transform(
            found,
            lambda p: np.stack([easting(p[:, 0] + shift), northing(p[:, 1] + shift)], axis=1),
        )
    )


def _apart(runs: Runs, owner: Ints) -> Runs:
    """Move the runs of each set down so that no set touches the set before it."""
    moved = runs.copy()
    down = np.diff(moved[:, 0], prepend=moved[0, 0])
    down[np.diff(owner, prepend=owner[0]) > 0] = 2
    moved[:, 0] = np.cumsum(down)
    return moved


def _stacks(runs: Runs, chain: Ints, tolerance: float) -> npt.NDArray[np.object_]:
    """Polygons of stacks of runs with one run per line; their ends meet those of the next stack exactly.

    The two sides of a stack are simplified with fixed ends, so stacks still join without a gap.
    """
    sides = _sides(runs, chain, tolerance)
    points, side = shapely.get_coordinates(sides, return_index=True)
    count, left = len(sides) // 2, int(np.searchsorted(side, len(sides) // 2))
    ring = np.concatenate([side[:left], side[left:][::-1] - count])  # down the left side, up the right side
    by_ring = np.argsort(ring, kind="stable")
    points = np.concatenate([points[:left], points[left:][::-1]])[by_ring]
    found = shapely.polygons(shapely.linearrings(points, indices=ring[by_ring]))
    crossed = ~shapely.is_valid(found)
    found[crossed] = shapely.buffer(found[crossed], 0)
    return np.asarray(found)


def _sides(runs: Runs, chain: Ints, tolerance: float) -> npt.NDArray[np.object_]:
    """The left sides of all stacks, then the right sides, from top to bottom: staircases, or simplified lines."""
    count = np.bincount(chain)
    if tolerance:  # a point on the middle of each run, and the two ends of the stack
        number = np.repeat(np.arange(len(count)), count + 2)
        bottom = np.cumsum(count + 2) - 1
        top = bottom - count - 1
        source, down = np.arange(len(number)) - 2 * number - 1, np.full(len(number), 0.5)
        source[top], source[bottom] = source[top] + 1, source[bottom] - 1
        down[top], down[bottom] = 0, 1
    else:
        number = np.repeat(np.arange(len(count)), 2 * count)
        source, down = np.arange(len(runs)).repeat(2), np.tile([0.0, 1.0], len(runs))
    source = np.argsort(chain, kind="stable")[source]
    points = np.empty((2, len(source), 2))
    points[:, :, 0], points[:, :, 1] = runs[source, 1:].T, runs[source, 0] + down
    indices = np.concatenate([number, number + len(count)])
    lines = shapely.linestrings(points.reshape(-1, 2), indices=indices)
    return np.asarray(shapely.simplify(lines, tolerance, preserve_topology=False) if tolerance else lines)


def _chains(runs: Runs) -> Ints:
    """Number the stacks: a run joins the stack above it if each is the other's only neighbour."""
    chain, above, below = (np.empty(len(runs), np.int64) for _ in range(3))
    _chain(packed(runs), above, below, chain)
    return chain


@kernel_of("void(int32[:, ::1], int64[::1], int64[::1], int64[::1])", writes=3)
def _chain(runs: Runs, above: Ints, below: Ints, chain: Ints) -> None:
    """Write the number of each run's stack; ``above`` and ``below`` are buffers.

    They get the only neighbour of each run in the line above, -1 if there is not exactly one, and the number of its
    neighbours in the line below.
    """
    first = 0  # the first run of the line above that does not end before the run
    for i in range(runs.shape[0]):
        above[i], below[i] = -1, 0
        while first < i and (
            runs[first, 0] < runs[i, 0] - 1 or (runs[first, 0] < runs[i, 0] and runs[first, 2] <= runs[i, 1])
        ):
            first += 1
        k = first
        while k < i and runs[k, 0] < runs[i, 0] and runs[k, 1] < runs[i, 2]:
            below[k] += 1
            above[i] = k if k == first else -1
            k += 1
    stacks = 0
    for i in range(runs.shape[0]):
        if above[i] >= 0 and below[above[i]] == 1:
            chain[i] = chain[above[i]]
        else:
            chain[i] = stacks
            stacks += 1
