"""Place windows on all lattices of a component, so that windows of different zones do not overlap.

If a component crosses the edge of a UTM zone, windows that are placed first take space from those placed later. No
order is always best, so a few are tried. Greedy placement and the fixed lattice are among them, so the result is never
worth less than either.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import shapely

from spectralearth_build.overlap.lattice import PIXEL, Box, col_at, easting, line_at, northing
from spectralearth_build.overlap.region import Points, Region, merged, union
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.problem import Problem, Strategy, conflicts
from spectralearth_build.plan.shelves import improved, shelves

Problems = Mapping[int, Problem]
"""The problem of each lattice, by EPSG code."""
Placed = Mapping[int, Points]
"""Anchors of windows, by lattice."""
NOTHING: Placed = MappingProxyType({})


def place(problems: Problems, strategy: Strategy, held: Placed = NOTHING) -> dict[int, Points]:
    """Place windows on every lattice of a component.

    Args:
        problems: the lattices; all windows have the same size.
        strategy: applied to one lattice after the other; for `shelves`, the best of several orders (see above).
        held: windows that the dataset already has; no new window overlaps them.
    """
    if strategy is not shelves or len(problems) < 2:
        return _in_turn(problems, strategy, held)
    back = dict(reversed(list(problems.items())))
    tried = [_in_turn(problems, each, held) for each in (shelves, greedy, fixed_lattice)]
    best = max([*tried, _in_turn(back, shelves, held)], key=lambda placed: value_of(problems, placed))
    return _together(problems, best, held)


def value_of(problems: Problems, placed: Placed) -> int:
    """Total value of a placement."""
    return sum(problems[epsg].value(anchors) for epsg, anchors in placed.items())


def _in_turn(problems: Problems, strategy: Strategy, held: Placed) -> dict[int, Points]:
    """Place windows lattice by lattice, each in the area that the previous lattices left free."""
    placed: dict[int, Points] = {}
    for epsg in problems:
        placed[epsg] = strategy(_left(problems, epsg, placed, held))
    return placed


def _together(problems: Problems, placed: dict[int, Points], held: Placed) -> dict[int, Points]:
    """Improve the windows of one lattice after the other while those of all others stay in place.

    On another lattice, a window blocks slightly more than its own area, so some windows may not be able to stay. A
    result with a lower value is not used.
    """
    for epsg in problems:
        others = {other: anchors for other, anchors in placed.items() if other != epsg}
        moved = improved(_left(problems, epsg, others, held), placed[epsg])
        if problems[epsg].value(moved) > problems[epsg].value(placed[epsg]):
            placed = placed | {epsg: moved}
    return placed


def _left(problems: Problems, epsg: int, placed: Placed, held: Placed) -> Problem:
    """The problem of one lattice without the anchors that windows in place block."""
    problem = problems[epsg]
    box = Region(problem.cover.segments).box
    blocked = union([blocked_by(each, epsg, problem.size, box) for each in (placed, held)])
    return problem.without(blocked) if blocked else problem


def blocked_by(placed: Mapping[int, Points], epsg: int, size: int, box: Box) -> Region:
    """Anchors of ``epsg`` in a box, and some outside, whose windows could overlap placed windows on any lattice."""
    found = []
    for other, anchors in placed.items():
        if other == epsg:
            found.append(conflicts(anchors, size))
        elif len(near := anchors[_near(anchors, other, epsg, size, box)]):
            found.append(_shadow(near, other, epsg, size))
    return union(found)


def _near(anchors: Points, other: int, epsg: int, size: int, box: Box) -> npt.NDArray[np.bool_]:
    """Which windows of another lattice are less than two windows from those anchored in a box of ``epsg``.

    All others are too far away to overlap any, since neighbouring lattices have the same scale to a part in a hundred.
    """
    x, y = easting(anchors[:, 1] + size / 2), northing(anchors[:, 0] + size / 2)
    x, y = transformer(other, epsg).transform(x, y)
    line, col = line_at(np.asarray(y)) - size / 2, col_at(np.asarray(x)) - size / 2
    inside: npt.NDArray[np.bool_] = (line > box.line - 2 * size) & (line < box.stop_line + 2 * size)
    return inside & (col > box.col - 2 * size) & (col < box.stop_col + 2 * size)


def _shadow(anchors: Points, other: int, epsg: int, size: int) -> Region:
    """Anchors of ``epsg`` whose windows could overlap windows placed on another zone's lattice.

    Each window blocks the smallest box of ``epsg`` that contains it.
    """
    west, north = easting(anchors[:, 1]), northing(anchors[:, 0])
    edges = shapely.segmentize(shapely.box(west, north - PIXEL * size, west + PIXEL * size, north), 960)
    x, y = transformer(other, epsg).transform(*shapely.get_coordinates(edges).T)
    col, line = (each.reshape(len(anchors), -1) for each in (col_at(x), line_at(y)))
    first, stop, left, right = line.min(axis=1), line.max(axis=1), col.min(axis=1), col.max(axis=1)
    top, height = np.floor(first) - size, np.ceil(stop) - np.floor(first) + size
    runs = np.stack([top, np.floor(left) - size, np.ceil(right)], axis=1).astype(np.int64)
    down = height.astype(np.int64)
    spread = np.repeat(runs, down, axis=0)
    spread[:, 0] += np.arange(len(spread)) - np.repeat(np.cumsum(down) - down, down)
    return merged(spread)
