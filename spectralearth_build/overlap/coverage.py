"""Depth and maximal n-tuples, found by a sweep over the plane instead of over subsets.

The SpectralEarth paper grows n-tuples from (n-1)-tuples, because a tile of degree 30 has 2^30 subsets. But the borders
of the regions divide the plane into only a few thousand faces. A sweep along the lines of anchors visits each face. The
XOR of the random 64-bit keys of its datatakes identifies the set (two sets share a key with probability 2^-64).
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
    """The depth of every pixel, and the set of ``regions`` that cover it."""

    segments: Runs
    """int32 [m, 3] of (line, start, stop), sorted and disjoint; adjacent segments have different sets."""
    depth: npt.NDArray[np.int32]
    """Number of regions that cover each segment, at least 1."""
    key: Keys
    """Key of the set of regions that cover each segment."""
    regions: tuple[Region, ...]
    """The regions that were added up."""
    choose: Callable[[Flags], Flags] | None = None
    """Optional function that selects which regions over a point count: bool [point, region] to the same shape."""

    def where(self, wanted: npt.NDArray[np.bool_]) -> Coverage:
        """The cover restricted to the segments in a mask."""
        if wanted.all():
            return self
        return replace(self, segments=self.segments[wanted], depth=self.depth[wanted], key=self.key[wanted])

    def choosing(self, choose: Callable[[Flags], Flags]) -> Coverage:
        """The same cover with a function that selects which regions count; ``depth`` becomes their number."""
        _, first, which = np.unique(self.key, return_index=True, return_inverse=True)
        depth = choose(self.members(self.segments[first, :2])).sum(axis=1).astype(np.int32)
        return replace(self, depth=depth[which], choose=choose)

    def without(self, blocked: Region) -> Coverage:
        """The cover outside ``blocked``."""
        segments, parent = outside(self.segments, blocked.runs)
        return replace(self, segments=segments, depth=self.depth[parent], key=self.key[parent])

    def region(self) -> Region:
        """The region with a depth of at least 1."""
        return Region(joined(self.segments, np.ones(len(self.segments), np.bool_)))

    def members(self, points: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which regions cover each point: bool [point, region]."""
        columns = [region.contains(points) for region in self.regions]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0), np.bool_)

    def counted(self, points: npt.NDArray[np.int32]) -> Flags:
        """Which regions count at each point: bool [point, region]; their number is the depth there."""
        members = self.members(points)
        return members if self.choose is None else self.choose(members)


def cover(regions: Sequence[Region], names: Sequence[str]) -> Coverage:
    """Add up regions. Keys are made from the names, so the result does not depend on the order of the regions."""
    segments, depth, key = swept(regions, np.array([key_of(name) for name in names], np.uint64))
    return Coverage(segments, depth, key, tuple(regions))


def key_of(name: str) -> int:
    """A fixed random 64-bit key for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class Face:
    """All pixels that are covered by exactly the same set of regions: a maximal n-tuple."""

    members: tuple[int, ...]
    """Indices of the regions."""
    area: int
    """Number of pixels (anchors)."""
    runs: Runs
    """The pixels (anchors)."""


def faces(covered: Coverage) -> list[Face]:
    """The faces of a cover, largest sets first, then by area, then by members."""
    if len(covered.segments) == 0:
        return []
    order = np.argsort(covered.key, kind="stable")
    first = np.flatnonzero(np.append(True, covered.key[order[1:]] != covered.key[order[:-1]]))
    segments = covered.segments[order]
    area = np.add.reduceat(segments[:, 2] - segments[:, 1], first, dtype=np.int64).tolist()
    members = covered.members(segments[first, :2])
    found = [
        Face(tuple(np.flatnonzero(inside).tolist()), *each)
        for inside, *each in zip(members, area, np.split(segments, first[1:]), strict=True)
    ]
    return sorted(found, key=lambda face: (-len(face.members), -face.area, face.members))
