"""Convert between polygons and runs: footprints to runs, runs to outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import col_at, easting, line_at, northing
from spectralearth_build.overlap.region import Region
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.overlap.runs import Runs

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


@kernel
def _fill(edges: Floats) -> Runs:
    """Even-odd fill of edges [n, 4] of (col, line, col, line), at pixel centres."""
    n = edges.shape[0]
    first = int(np.floor(min(edges[:, 1].min(), edges[:, 3].min())))
    lines = int(np.ceil(max(edges[:, 1].max(), edges[:, 3].max()))) - first + 1
    count = np.zeros(lines + 1, np.int64)
    begin, end = np.empty(n, np.int64), np.empty(n, np.int64)
    for k in range(n):
        low, high = min(edges[k, 1], edges[k, 3]), max(edges[k, 1], edges[k, 3])
        begin[k], end[k] = int(np.ceil(low - 0.5)) - first, int(np.ceil(high - 0.5)) - first
        for i in range(begin[k], end[k]):
            count[i + 1] += 1
    pointer = np.cumsum(count)
    crossings = np.empty(pointer[-1], np.float64)
    fill = pointer[:-1].copy()
    for k in range(n):
        for i in range(begin[k], end[k]):
            share = (i + first + 0.5 - edges[k, 1]) / (edges[k, 3] - edges[k, 1])
            crossings[fill[i]] = edges[k, 0] + share * (edges[k, 2] - edges[k, 0])
            fill[i] += 1
    runs = np.empty((crossings.size // 2, 3), np.int32)
    m = 0
    for i in range(lines):
        line = _sorted(crossings[pointer[i] : pointer[i + 1]])
        for k in range(0, line.size - 1, 2):
            start, stop = int(np.ceil(line[k] - 0.5)), int(np.ceil(line[k + 1] - 0.5))
            if m > 0 and runs[m - 1, 0] == i + first and runs[m - 1, 2] >= start:
                runs[m - 1, 2] = stop
            elif stop > start:
                runs[m, 0], runs[m, 1], runs[m, 2] = i + first, start, stop
                m += 1
    return runs[:m].copy()


@kernel
def _sorted(values: Floats) -> Floats:
    """Sort values; a few of them in place, without an allocating call."""
    if values.size > 16:
        return np.sort(values)
    for k in range(1, values.size):
        value, place = values[k], k
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return values


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


@kernel
def _chains(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the stacks: a run joins the stack above it if each is the other's only neighbour."""
    n = runs.shape[0]
    above = np.full(n, -1, np.int64)
    ups, downs = np.zeros(n, np.int64), np.zeros(n, np.int64)
    i = 0
    for j in range(n):
        while i < j and (
            runs[i, 0] < runs[j, 0] - 1 or (runs[i, 0] == runs[j, 0] - 1 and runs[i, 2] <= runs[j, 1])
        ):
            i += 1
        k = i
        while k < j and runs[k, 0] == runs[j, 0] - 1 and runs[k, 1] < runs[j, 2]:
            ups[j] += 1
            downs[k] += 1
            above[j] = k
            k += 1
    chain = np.empty(n, np.int64)
    found = 0
    for j in range(n):
        if ups[j] == 1 and downs[above[j]] == 1:
            chain[j] = chain[above[j]]
        else:
            chain[j] = found
            found += 1
    return chain
