"""Greedy by depth: place the deepest anchors first. This is the obvious approach, but it fragments the plane."""

from __future__ import annotations

import numpy as np

from spectralearth_build.overlap.region import Points
from spectralearth_build.plan.fill import by_levels
from spectralearth_build.plan.problem import Problem


def greedy(problem: Problem) -> Points:
    """Fill the anchors of each depth, from the largest depth down. A `Strategy`."""
    worthy = problem.worthy()
    return by_levels(worthy.segments, worthy.depth.astype(np.int64), problem.size)
