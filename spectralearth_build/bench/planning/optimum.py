"""Distance from the optimum, on small planes for which it can be computed.

Windows that do not overlap form an independent set. Squares that overlap pairwise share a pixel, so one inequality per
pixel (at most one chosen window covers it) describes the problem tightly. An integer programme solves it for a few
thousand anchors. The planes are tiles of real proportions (swath 1,000-1,250 pixels, 1,024 lines, tilted by about 13
degrees), scaled down so that a window has 6 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from spectralearth_build.overlap.coverage import cover
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region
from spectralearth_build.plan.algorithm1 import algorithm1
from spectralearth_build.plan.bound import upper_bound
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.problem import Problem, Strategy
from spectralearth_build.plan.shelves import shelves
from spectralearth_build.worth import worth_of

SIZE = 6
SCALE = SIZE / 128
PATCHES, PAIRS = "d", "5 * d * (d - 1) + d"
"""Values of depth; the second is like the preset `pairs`, with weights that an integer programme can handle."""


STRATEGIES: dict[str, Strategy] = {
    "ours": shelves,
    "greedy": greedy,
    "fixed lattice": fixed_lattice,
    "Algorithm 1": algorithm1(100),
}


@dataclass(frozen=True)
class Gap:
    """One plane: the values reached, and the optimum."""

    tiles: int
    """Number of overlapping tiles, each of its own datatake."""
    value: str
    """Formula of the value of depth."""
    optimum: float
    """Largest value of any placement. `proven` says whether the solver proved it."""
    proven: bool
    ceiling: float
    """Upper bound of the value, from the solver."""
    bound: float
    """Upper bound of the value, from `plan.bound`."""
    reached: dict[str, int]
    """Value of the placement of each strategy."""


def gaps(strategies: dict[str, Strategy], seed: int = 0, time_limit: float = 60.0) -> Iterator[Gap]:
    """Solve nine problems on planes of one to three tiles, with the values `PATCHES` and `PAIRS`.

    Args:
        strategies: the strategies to compare, by name.
        seed: random seed of the planes.
        time_limit: time limit per plane in seconds. Results not proven by then are marked.
    """
    random = np.random.default_rng(seed)
    for tiles in (1, 1, 1, 2, 2, 3):
        regions = plane(tiles, random)
        for value in (PATCHES, PAIRS) if tiles > 1 else (PATCHES,):
            problem = Problem(
                cover(regions, [str(i) for i in range(tiles)]),
                worth_of(value, 1, tiles),
                SIZE,
                tuple(regions),
                tuple(str(i) for i in range(tiles)),
            )
            reached = {name: problem.value(strategy(problem)) for name, strategy in strategies.items()}
            optimum, ceiling = best_value(problem, time_limit)
            yield Gap(
                tiles,
                value,
                optimum=optimum,
                proven=ceiling <= optimum + 0.5,
                ceiling=ceiling,
                bound=upper_bound(problem),
                reached=reached,
            )


def line(gap: Gap) -> str:
    """Format a gap: the share of the optimum that each strategy reaches, or of the solver's bound if unproven."""
    best = gap.optimum if gap.proven else gap.ceiling
    shares = ", ".join(f"{name} {value / best:.1%}" for name, value in gap.reached.items())
    kind = "optimum" if gap.proven else "at most"
    return (
        f"{gap.tiles} tiles, value {gap.value}: {kind} {best:.0f}; {shares}; our bound {gap.bound / best:.1%}"
    )


def plane(tiles: int, random: np.random.Generator) -> list[Region]:
    """Return the anchors of overlapping tiles of real proportions, as from revisits."""
    extent = int(1700 * SCALE)
    lines, cols = np.mgrid[:extent, :extent] + 0.5
    found = []
    for _ in range(tiles):
        tilt = np.radians(13 + random.normal(0, 1))
        width, height = random.uniform(1000, 1250) * SCALE, 1024 * SCALE
        middle = extent / 2 + random.normal(0, 150, 2) * SCALE
        across = (cols - middle[1]) * np.cos(tilt) + (lines - middle[0]) * np.sin(tilt)
        along = (lines - middle[0]) * np.cos(tilt) - (cols - middle[1]) * np.sin(tilt)
        inside = (np.abs(across) < width / 2) & (np.abs(along) < height / 2)
        found.append(Region.from_mask(inside, Box(0, 0, extent, extent)).anchors(SIZE))
    return found


def best_value(problem: Problem, time_limit: float = 60.0) -> tuple[float, float]:
    """Return the largest value that the solver found, and its upper bound; equal if proven."""
    anchors, values = _candidates(problem)
    if len(anchors) == 0:
        return 0.0, 0.0
    constraint = LinearConstraint(_one_window_a_pixel(anchors, problem.size), -np.inf, 1)
    solved = milp(
        -values,
        constraints=constraint,
        integrality=np.ones(len(values)),
        bounds=Bounds(0, 1),
        options={"time_limit": time_limit},
    )
    found = 0.0 if solved.fun is None else float(-solved.fun)
    bound = solved.mip_dual_bound  # None: the time was too short for any
    return found, upper_bound(problem) if bound is None else float(-bound)


def _candidates(problem: Problem) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return all anchors with a positive value, [n, 2], and their values."""
    worth = problem.worth[problem.cover.depth]
    rows = [
        (line, col, value)
        for (line, start, stop), value in zip(problem.cover.segments.tolist(), worth.tolist(), strict=True)
        if value > 0
        for col in range(start, stop)
    ]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return table[:, :2], table[:, 2].astype(np.float64)


def _one_window_a_pixel(anchors: npt.NDArray[np.int64], size: int) -> sparse.csr_matrix:
    """Return which windows cover each pixel, [pixel, window]."""
    origin = anchors.min(axis=0)
    line, col = (anchors - origin).T
    width = int(col.max()) + size
    down, right = (grid.ravel() for grid in np.mgrid[:size, :size])
    pixels = (line[:, np.newaxis] + down) * width + col[:, np.newaxis] + right
    windows = np.repeat(np.arange(len(anchors)), size**2)
    shape = ((int(line.max()) + size) * width, len(anchors))
    cover_of = sparse.csr_matrix((np.ones(pixels.size), (pixels.ravel(), windows)), shape=shape)
    return cover_of[np.diff(cover_of.indptr) > 1]
