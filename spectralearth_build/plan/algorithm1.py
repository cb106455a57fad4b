"""Algorithm 1 of SpectralEarth (arXiv 2408.08447): n-tuples of tiles grown from (n-1)-tuples, the largest kept.

Tiles are taken one by one, as the paper does, not joined into datatakes. Patches are then laid out in the
intersections, from the largest n down and by area, left to right and top to bottom, where nothing lies yet.
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
    """Tiles of different datatakes, and the anchors that all of them see."""

    tiles: tuple[int, ...]
    anchors: Region


def algorithm1(kept: int) -> Strategy:
    """The strategy that keeps the ``kept`` largest tuples of each n."""
    return partial(_place, kept=kept)


def grow(problem: Problem, kept: int) -> list[list[TileTuple]]:
    """For n = 1, 2, ...: the n-tuples with common windows, the ``kept`` largest by area (all for n = 1)."""
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
    """Windows, and the n of the tuple that each was laid out in: the dates that the paper would give it."""
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
