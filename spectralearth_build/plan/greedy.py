"""Greedy by depth: the deepest anchors first, what is obvious to try and fragments the plane."""

from __future__ import annotations

import numpy as np

from spectralearth_build.overlap.region import Points
from spectralearth_build.plan.algorithm1 import fill
from spectralearth_build.plan.problem import Problem, conflicts


def greedy(problem: Problem) -> Points:
    """For each depth from the largest down, fill the anchors of exactly that depth. A `Strategy`."""
    left = problem.cover.where(problem.worth[problem.cover.depth] > 0)
    placed = [np.empty((0, 2), np.int32)]
    while len(left.segments):
        deepest = left.depth == left.depth.max()
        anchors = fill(left.where(deepest).region(), problem.size)
        placed.append(anchors)
        left = left.where(~deepest).without(conflicts(anchors, problem.size))
    return np.concatenate(placed)
