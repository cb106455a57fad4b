"""Convert between polygons and runs: footprints to runs, runs to outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.overlap.lattice import col_at, easting, line_at, northing
from spectralearth_build.overlap.region import Region, merged
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.overlap.runs import Runs, places

Floats = npt.NDArray[np.float64]


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
    ends = np.ceil(edges[:, [1, 3]] - 0.5).astype(np.int64)
    first, count = ends.min(axis=1), np.abs(ends[:, 1] - ends[:, 0])  # the lines that each edge crosses
    edge = np.repeat(np.arange(len(edges)), count)
    line = np.arange(len(edge)) + np.repeat(first - np.cumsum(count) + count, count)
    col, at, to_col, to = edges[edge].T
    crossing = col + (line + 0.5 - at) / (to - at) * (to_col - col)
    order = np.argsort(line, kind="stable")
    lines, stops = line[order[::2]], crossing[order].reshape(-1, 2)  # each line is crossed in pairs
    once = bool((lines[1:] > lines[:-1]).all())
    stops = np.sort(stops, axis=1) if once else crossing[np.lexsort((crossing, line))].reshape(-1, 2)
    runs = np.column_stack([lines, np.ceil(stops - 0.5).astype(np.int64)])
    runs = runs[runs[:, 1] < runs[:, 2]]
    return runs.astype(np.int32) if once else merged(runs).runs


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


def _apart(runs: Runs, owner: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Move the runs of each set down so that no set touches the set before it."""
    moved = runs.astype(np.int64)
    down = np.diff(moved[:, 0], prepend=moved[0, 0])
    down[np.diff(owner, prepend=owner[0]) > 0] = 2
    moved[:, 0] = np.cumsum(down)
    return moved


def _stacks(runs: Runs, chain: npt.NDArray[np.int64], tolerance: float) -> npt.NDArray[np.object_]:
    """Polygons of stacks of runs with one run per line; their ends meet those of the next stack exactly.

    The two sides of a stack are simplified with fixed ends, so stacks still join without a gap.
    """
    order = np.argsort(chain, kind="stable")
    left, right = (_side(runs[order], chain[order], end, tolerance) for end in (1, 2))
    points, where = shapely.get_coordinates(np.concatenate([left, shapely.reverse(right)]), return_index=True)
    ring = where % len(left)
    by_ring = np.argsort(ring, kind="stable")
    found = shapely.polygons(shapely.linearrings(points[by_ring], indices=ring[by_ring]))
    crossed = ~shapely.is_valid(found)
    found[crossed] = shapely.buffer(found[crossed], 0)
    return np.asarray(found)


def _side(runs: Runs, chain: npt.NDArray[np.int64], end: int, tolerance: float) -> npt.NDArray[np.object_]:
    """One side of each stack, from top to bottom: the staircase, or a simplified line through its steps."""
    if not tolerance:
        rows = runs[:, 0].repeat(2) + np.tile([0, 1], len(runs))
        points, number = np.stack([runs[:, end].repeat(2), rows], axis=1), chain.repeat(2)
    else:
        first = np.flatnonzero(np.diff(chain, prepend=-1))
        last = np.append(first[1:], len(runs)) - 1
        middle = runs[:, [end, 0]] + np.array([0, 0.5])
        ends = [runs[first][:, [end, 0]], runs[last][:, [end, 0]] + np.array([0, 1])]
        points = np.concatenate([ends[0], middle, ends[1]])
        number = np.concatenate([chain[first], chain, chain[last]])
        in_order = np.argsort(number, kind="stable")
        points, number = points[in_order], number[in_order]
    lines = shapely.linestrings(points, indices=number)
    return np.asarray(shapely.simplify(lines, tolerance, preserve_topology=False) if tolerance else lines)


def _chains(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the stacks: a run joins the stack above it if each is the other's only neighbour."""
    n = len(runs)
    begin, end = places(runs[:, 0], runs[:, 1]), places(runs[:, 0], runs[:, 2])
    up = 1 << 32
    first = np.searchsorted(
        end, begin - up, side="right"
    )  # of the runs of the line above that touch each run
    ups = np.searchsorted(begin, end - up) - first
    downs = np.bincount(np.arange(ups.sum()) + np.repeat(first - np.cumsum(ups) + ups, ups), minlength=n)
    below = ups == 1
    below[below] = downs[first[below]] == 1
    top = np.where(below, first, np.arange(n))
    while (further := top[top] < top).any():  # each round doubles the distance
        top[further] = top[top[further]]
    return (np.cumsum(~below) - 1)[top]
