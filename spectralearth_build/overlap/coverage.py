"""Depth and maximal n-tuples, read off the plane instead of off the subsets.

The paper grows n-tuples from (n-1)-tuples, because a tile of degree 30 has 2^30 subsets. But the borders of the
regions cut the plane into a few thousand faces only. A sweep along the lines of anchors sees each face; the XOR of
random 64-bit keys of the datatakes over it names the set (two sets share a name with probability 2^-64).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.region import Region, swept
from spectralearth_build.overlap.runs import Keys, Runs, joined, outside

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often, and by which of ``regions``, every pixel is covered."""

    segments: Runs
    """int32 [m, 3] of (line, start, stop), sorted and disjoint; those that touch differ in their set."""
    depth: npt.NDArray[np.int32]
    """Number of regions over each segment, at least 1."""
    key: Keys
    """Name of the set of regions over each segment."""
    regions: tuple[Region, ...]
    """What was added up."""
    choose: Callable[[Flags], Flags] | None = None
    """If given, which of the regions over a point count: bool [point, region] to the same."""

    def where(self, wanted: npt.NDArray[np.bool_]) -> Coverage:
        """Only the wanted segments (a mask over segments)."""
        return replace(self, segments=self.segments[wanted], depth=self.depth[wanted], key=self.key[wanted])

    def choosing(self, choose: Callable[[Flags], Flags]) -> Coverage:
        """The same plane where only some of the regions over a point count; ``depth`` is then their number."""
        _, first, which = np.unique(self.key, return_index=True, return_inverse=True)
        depth = choose(self.members(self.segments[first, :2])).sum(axis=1).astype(np.int32)
        return replace(self, depth=depth[which], choose=choose)

    def without(self, blocked: Region) -> Coverage:
        """The cover outside ``blocked``."""
        segments, parent = outside(self.segments, blocked.runs)
        return replace(self, segments=segments, depth=self.depth[parent], key=self.key[parent])

    def region(self) -> Region:
        """All that is covered."""
        return Region(joined(self.segments, np.ones(len(self.segments), np.bool_)))

    def members(self, points: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which regions lie over each point: bool [point, region]."""
        columns = [region.contains(points) for region in self.regions]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0), np.bool_)

    def counted(self, points: npt.NDArray[np.int32]) -> Flags:
        """Which regions over each point count: bool [point, region]; their number is the depth there."""
        members = self.members(points)
        return members if self.choose is None else self.choose(members)


def cover(regions: Sequence[Region], names: Sequence[str]) -> Coverage:
    """Add up regions; the names give the keys, so that the result does not depend on their order."""
    segments, depth, key = swept(regions, np.array([key_of(name) for name in names], np.uint64))
    return Coverage(segments, depth, key, tuple(regions))


def key_of(name: str) -> int:
    """A fixed random 64-bit key for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class Face:
    """All pixels with exactly the same set of regions over them: a maximal n-tuple."""

    members: tuple[int, ...]
    """Indices of the regions."""
    area: int
    """Number of pixels (anchors)."""
    runs: Runs
    """Where they are."""


def faces(covered: Coverage) -> list[Face]:
    """The distinct sets of a cover, largest sets first, then by area, then by members."""
    if len(covered.segments) == 0:
        return []
    _, first, which = np.unique(covered.key, return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(which))[:-1])
    members = covered.members(covered.segments[first, :2])
    found = [
        Face(tuple(np.flatnonzero(inside).tolist()), _area(covered.segments[group]), covered.segments[group])
        for inside, group in zip(members, groups, strict=True)
    ]
    return sorted(found, key=lambda face: (-len(face.members), -face.area, face.members))


def _area(segments: Runs) -> int:
    return int((segments[:, 2].astype(np.int64) - segments[:, 1]).sum())
