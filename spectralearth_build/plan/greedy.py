"""Greedy by depth: place the deepest anchors first. This is the obvious approach, but it fragments the plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.overlap.runs import Runs, joined
from spectralearth_build.plan.fill import fill
from spectralearth_build.plan.problem import Problem, conflicts


def greedy(problem: Problem) -> Points:
    """Fill the anchors of each depth, from the largest depth down. A `Strategy`."""
    worthy = problem.worthy()
    return by_levels(worthy.segments, worthy.depth.astype(np.int64), problem.size)


def by_levels(segments: Runs, levels: npt.NDArray[np.int64], size: int) -> Points:
    """Fill segments [m, 3] of (line, start, stop) level by level, the highest first, where there is no window yet."""
    placed = [np.empty((0, 2), np.int32)]
    taken = Region.empty()
    for level in np.unique(levels)[::-1]:
        if len(placed[-1]):
            taken = taken | conflicts(placed[-1], size)
        placed.append(fill(Region(joined(segments, levels == level)) - taken, size))
    return np.concatenate(placed)
