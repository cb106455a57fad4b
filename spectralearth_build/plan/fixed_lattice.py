"""The fixed lattice: windows at multiples of their size, wherever there is data (as in ChronoEarth-492K)."""

from __future__ import annotations

import numpy as np

from spectralearth_build.overlap.region import Points
from spectralearth_build.plan.problem import Problem


def fixed_lattice(problem: Problem) -> Points:
    """All windows of the lattice through (0, 0) with a positive value. A `Strategy`."""
    size = problem.size
    box = problem.cover.region().box
    lines = np.arange(-(-box.line // size), -(-box.stop_line // size)) * size
    cols = np.arange(-(-box.col // size), -(-box.stop_col // size)) * size
    grid = np.stack(np.meshgrid(lines, cols, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int32)
    inside = problem.cover.region().contains(grid)
    depth = problem.cover.counted(grid).sum(axis=1)
    chosen: Points = grid[inside & (problem.worth[depth] > 0)]
    return chosen
