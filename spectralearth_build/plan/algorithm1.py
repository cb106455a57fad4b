"""Algorithm 1 of SpectralEarth (arXiv 2408.08447): grow n-tuples of tiles from (n-1)-tuples and keep the largest.

Tiles are used one by one, as in the paper, not joined into datatakes. Patches are then placed in the intersections,
from the largest n down and by area, left to right and top to bottom, where there is no patch yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.region import Points, Region
from spectralearth_build.plan.fill import fill
from spectralearth_build.plan.problem import Problem, Strategy, conflicts


@dataclass(frozen=True, eq=False)
class TileTuple:
    """Tiles of different datatakes, and the anchors of the windows inside all of them."""

    tiles: tuple[int, ...]
    anchors: Region


def algorithm1(kept: int) -> Strategy:
    """The strategy that keeps the ``kept`` largest tuples of each n."""
    return partial(_place, kept=kept)


def grow(problem: Problem, kept: int) -> list[list[TileTuple]]:
    """The n-tuples with common windows for n = 1, 2, ...: the ``kept`` largest by area (all for n = 1)."""
    singles = [TileTuple((i,), region) for i, region in enumerate(problem.tiles) if region]
    levels = []
    level = singles
    while level:
        levels.append(level)
        level = _largest(_grown(level, singles, problem.tile_datatakes), kept)
    return levels


def _grown(level: list[TileTuple], singles: list[TileTuple], datatakes: tuple[str, ...]) -> list[TileTuple]:
    found: dict[tuple[int, ...], TileTuple] = {}
    for each in level:
        taken = {datatakes[i] for i in each.tiles}
        for single in singles:
            tiles = tuple(sorted({*each.tiles, *single.tiles}))
            if datatakes[single.tiles[0]] in taken or tiles in found:
                continue
            common = each.anchors & single.anchors
            if common:
                found[tiles] = TileTuple(tiles, common)
    return list(found.values())


def _largest(tuples: list[TileTuple], kept: int) -> list[TileTuple]:
    return sorted(tuples, key=lambda t: (-t.anchors.area, t.tiles))[:kept]


def _place(problem: Problem, kept: int) -> Points:
    return laid_out(problem, kept)[0]


def laid_out(problem: Problem, kept: int) -> tuple[Points, npt.NDArray[np.int64]]:
    """Windows, and the n of the tuple in which each was placed: its number of dates according to the paper."""
    worthy = problem.worthy().region()
    placed, dates = [np.empty((0, 2), np.int32)], [0]
    for level in reversed(grow(problem, kept)):
        for each in _largest(level, len(level)):
            anchors = fill(each.anchors & worthy, problem.size)
            placed.append(anchors)
            dates.append(len(each.tiles))
            if len(anchors):
                worthy = worthy - conflicts(anchors, problem.size)
    return np.concatenate(placed), np.repeat(dates, [len(anchors) for anchors in placed])
