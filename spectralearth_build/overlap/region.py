"""Sets of lattice pixels as runs along lines, with the operations that planning needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap import combine
from spectralearth_build.overlap import runs as kernels
from spectralearth_build.overlap.erosion import erode
from spectralearth_build.overlap.lattice import WINDOW, Box
from spectralearth_build.overlap.mask_layers import runs_of_mask

Points = npt.NDArray[np.int32]
"""Pixels or anchors, [n, 2] of (line, col)."""


@dataclass(frozen=True, eq=False)
class Region:
    """A set of pixels (or of anchors) of one lattice."""

    runs: kernels.Runs
    """int32 [n, 3] of (line, start, stop): sorted, disjoint, never touching."""

    @staticmethod
    def empty() -> Region:
        """The empty region."""
        return Region(np.empty((0, 3), np.int32))

    @staticmethod
    def from_mask(mask: npt.NDArray[np.bool_], box: Box) -> Region:
        """The true pixels of a mask [line, col] that covers ``box``."""
        return Region(runs_of_mask(mask, box.line, box.col))

    @staticmethod
    def from_box(box: Box) -> Region:
        """All pixels of a box."""
        lines = np.arange(box.line, box.stop_line if box.width > 0 else box.line)
        return Region(
            np.stack([lines, np.full_like(lines, box.col), np.full_like(lines, box.stop_col)], 1).astype(
                np.int32
            )
        )

    def to_mask(self, box: Box) -> npt.NDArray[np.bool_]:
        """The region as a mask [line, col] over ``box``; pixels outside are dropped."""
        mask = np.zeros((box.height, box.width), np.bool_)
        kernels.paint(self.runs, mask, box.line, box.col)
        return mask

    @property
    def box(self) -> Box:
        """The smallest box that contains the region; an empty box at (0, 0) if the region is empty."""
        if not self:
            return Box(0, 0, 0, 0)
        line, col = int(self.runs[0, 0]), int(self.runs[:, 1].min())
        return Box(line, col, int(self.runs[-1, 0]) + 1 - line, int(self.runs[:, 2].max()) - col)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.runs[:, 2].astype(np.int64) - self.runs[:, 1]).sum())

    def __bool__(self) -> bool:
        return len(self.runs) > 0

    def __and__(self, other: Region) -> Region:
        return _combine(self, other, both=True) if self and other else Region.empty()

    def __or__(self, other: Region) -> Region:
        return _combine(self, other, only_a=True, only_b=True, both=True) if self and other else self or other

    def __sub__(self, other: Region) -> Region:
        return _combine(self, other, only_a=True) if self and other else self

    def anchors(self, size: int = WINDOW) -> Region:
        """Anchors of the windows that are entirely inside."""
        return Region(erode(self.runs, size))

    def moved(self, lines: int, cols: int) -> Region:
        """The region moved down by ``lines`` and right by ``cols``."""
        return Region(self.runs + np.array([lines, cols, cols], np.int32))

    def where_at_most(self, flags: Region, limit: int, size: int = WINDOW) -> Region:
        """The anchors of this region whose window has at most ``limit`` pixels of ``flags``."""
        return self if not flags else Region(kernels.anchors_within_limit(self.runs, flags.runs, size, limit))

    def count_in(self, anchors: Points, size: int = WINDOW) -> npt.NDArray[np.int64]:
        """Number of pixels of this region in the window of each anchor."""
        if not self:
            return np.zeros(len(anchors), np.int64)
        return kernels.pixels_in_windows(self.runs, anchors, size)

    def contains(self, points: Points) -> npt.NDArray[np.bool_]:
        """Which points are in the region: bool [point]."""
        return kernels.contains_points(self.runs, points)


def merged(runs: npt.NDArray[np.integer[Any]]) -> Region:
    """The union of runs [n, 3], which may be in any order and overlap."""
    return Region(combine.merged(runs))


def union(regions: Sequence[Region]) -> Region:
    """The union of regions."""
    present = [region for region in regions if region]
    if len(present) <= 1:
        return present[0] if present else Region.empty()
    return merged(np.concatenate([region.runs for region in present]))


def swept(
    regions: Sequence[Region], keys: kernels.Keys
) -> tuple[kernels.Runs, npt.NDArray[np.int32], kernels.Keys]:
    """Segments covered by the same regions, with the number of regions and the XOR of their keys."""
    if len(regions) == 1:
        runs = regions[0].runs
        return runs, np.ones(len(runs), np.int32), np.repeat(keys, len(runs))
    runs = np.concatenate([region.runs for region in regions]) if regions else Region.empty().runs
    return kernels.sweep(runs, np.repeat(keys, [len(region.runs) for region in regions]))


def _combine(
    a: Region, b: Region, *, only_a: bool = False, only_b: bool = False, both: bool = False
) -> Region:
    return Region(combine.combined(a.runs, b.runs, only_a, only_b, both))
