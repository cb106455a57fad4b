"""Join the tiles of a datatake into a mosaic, and find the anchors of its windows.

A datatake is one date. Its tiles overlap by about 19 lines. Each pixel comes from the first tile that is valid there
(tiles on their native lattice first, then by tile number), so a window may straddle tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spectralearth_build.config import QualityConfig
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.overlap.region import Points, Region, union
from spectralearth_build.overlap.view import FLAGS, View

LIMITS = {
    "cloud": "max_cloud",
    "shadow": "max_shadow",
    "haze": "max_haze",
    "thick_cirrus": "max_cirrus",
    "snow": "max_snow",
}
"""The setting that limits each flag."""


@dataclass(frozen=True, eq=False)
class Datatake:
    """One datatake on one lattice."""

    name: str
    views: tuple[View, ...]
    """Its tiles, in order of precedence."""
    own: tuple[Region, ...]
    """For each view, the pixels that it provides."""
    flags: dict[str, Region]
    """Quality layers of the mosaic."""
    valid: Region
    """All valid pixels."""
    anchors: Region
    """Anchors of its windows: entirely valid, clear enough, and owned by this lattice."""

    @property
    def day(self) -> int:
        """Day of acquisition of the first tile, counted from 1970-01-01."""
        return min(v.tile.day for v in self.views)

    def shares(self, points: Points, size: int = WINDOW) -> npt.NDArray[np.int64]:
        """Number of pixels that each view provides to the window of each anchor: [anchor, view]."""
        return np.stack([region.count_in(points, size) for region in self.own], axis=1)

    def fractions(self, points: Points, size: int = WINDOW) -> dict[str, npt.NDArray[np.float64]]:
        """Fraction of each flag in the window of each anchor."""
        return {name: region.count_in(points, size) / size**2 for name, region in self.flags.items()}


def join(
    name: str, views: Sequence[View], home: Region, quality: QualityConfig, size: int = WINDOW
) -> Datatake:
    """Join the views of a datatake.

    Args:
        name: name of the datatake.
        views: its tiles on one lattice.
        home: the anchors that this lattice owns.
        quality: limits of a clear window.
        size: edge of a window.
    """
    ordered = tuple(sorted(views, key=lambda v: (not v.native, v.tile.number)))
    own: list[Region] = []
    seen = Region.empty()
    for each in ordered:
        own.append(each.valid - seen if seen else each.valid)
        seen = seen | each.valid if seen else each.valid
    flags = {
        flag: union([v.flags[flag] & part for v, part in zip(ordered, own, strict=True) if v.flags[flag]])
        for flag in FLAGS
    }
    anchors = seen.anchors(size) & home
    for flag, setting in LIMITS.items():
        limit = int(np.floor(getattr(quality, setting) * size**2 + 1e-9))
        if limit < size**2:
            anchors = anchors.where_at_most(flags[flag], limit, size)
    return Datatake(name, ordered, own=tuple(own), flags=flags, valid=seen, anchors=anchors)
