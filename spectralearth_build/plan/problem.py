"""The input of a placement strategy: one component on one lattice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from spectralearth_build.overlap.coverage import Coverage
from spectralearth_build.overlap.region import Points, Region, merged
from spectralearth_build.worth import Worth


@dataclass(frozen=True, eq=False)
class Problem:
    """Possible anchors of windows, their depth, and the value of each depth."""

    cover: Coverage
    """The anchors, with their depth."""
    worth: Worth
    size: int
    """Edge of a window in pixels."""
    tiles: tuple[Region, ...] = ()
    """For each tile, the anchors of the windows entirely inside it, which SpectralEarth's method uses."""
    tile_datatakes: tuple[str, ...] = ()
    """The datatake of each of ``tiles``."""

    def without(self, blocked: Region) -> Problem:
        """The same problem without the anchors ``blocked``."""
        return replace(self, cover=self.cover.without(blocked), tiles=tuple(t - blocked for t in self.tiles))

    def worthy(self) -> Coverage:
        """The anchors with a positive value."""
        return self.cover.where(self.worth[self.cover.depth] > 0)

    def value(self, anchors: Points) -> int:
        """Total value of a placement."""
        depth = self.cover.counted(anchors).sum(axis=1) if len(anchors) else np.zeros(0, np.int64)
        return int(self.worth[depth].sum())


class Strategy(Protocol):
    """A function that chooses windows that do not overlap, as anchors [n, 2] of (line, col)."""

    def __call__(self, problem: Problem) -> Points:
        """Place windows; returns their anchors."""
        ...


def conflicts(anchors: Points, size: int) -> Region:
    """All anchors whose window would overlap a window at ``anchors``."""
    line, col = anchors.astype(np.int64).T
    beside = merged(np.stack([line, col - size + 1, col + size], axis=1)).runs
    reach = np.arange(-size + 1, size)
    spread = np.repeat(beside, len(reach), axis=0)
    spread[:, 0] += np.tile(reach, len(beside)).astype(np.int32)
    return merged(spread)
