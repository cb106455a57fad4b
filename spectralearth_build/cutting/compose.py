"""Composition of the pixels of a patch: from one tile, from neighbours of the same datatake, or from another zone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import ContentChangedError, ProductError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.resample import bilinear, bilinear_valid, source_grid, support
from spectralearth_build.store.codec import NODATA, PATCH_SHAPE, Patch
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.texts import counted

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TilePixels:
    """A part of a tile, read once."""

    epsg: int
    """EPSG code of the lattice."""
    box: Box
    """Area that the arrays cover."""
    values: Patch
    """int16 [202, line, col]."""
    valid: Flags
    """Which pixels have data according to the mask that the plan used; bool [line, col]."""
    lost: Flags | None = None
    """Which of them turned out to have none in some band, or to lie in a hole; None: scan has checked them all."""

    def part(self, box: Box) -> tuple[Patch, Flags]:
        """Return values and validity of a box inside, as views."""
        where = box.slices(self.box)
        return self.values[:, *where], self.valid[where]


LOST = "some of its pixels lie in a hole of the image or have no data in some band"
"""The reason of a patch that was left out because of what cut found in the pixels."""
Sources = Callable[[str], TilePixels]
"""Returns the pixels of a tile by id, or raises a ProductError."""


def compose(patch: PlannedPatch, sources: Sources, out: Patch | None = None) -> tuple[Patch, str]:
    """Compose a patch.

    Each pixel comes from the first source that is valid there.

    Args:
        patch: the patch.
        sources: returns the pixels of its tiles.
        out: output array, int16 [202, 128, 128]. Allocating new memory would take as long as composing.

    Returns:
        int16 [202, 128, 128], and the reason why it cannot be used; empty if it can.

    Raises:
        ContentChangedError: A tile has changed since scan read it, so the plan is no longer valid for it.
    """
    out = np.empty(PATCH_SHAPE, np.int16) if out is None else out
    cleared = False
    missing = np.ones(PATCH_SHAPE[1:], bool)
    exact, lost = False, False
    for name in patch.sources:
        try:
            pixels = sources(name)
        except ContentChangedError:
            raise  # it can be read again soon
        except ProductError as error:
            return out, f"{name} cannot be read: {type(error).__name__}"
        exact, lost = (
            exact or pixels.lost is not None,
            lost
            or (
                pixels.lost is not None
                and loses(patch, pixels.epsg, box=pixels.box, valid=pixels.valid, lost=pixels.lost)
            ),
        )
        if not cleared and not _covers(pixels, patch):
            out.fill(NODATA)
        cleared = True
        if pixels.epsg == patch.epsg:
            _copy(pixels, patch, out, missing)
        else:
            _resample(pixels, patch, out, missing)
    if missing.any():
        return out, f"{counted(int(missing.sum()), 'pixel has', 'pixels have')} no data any more"
    # What is lost counts after all else. So the reason is the same whether or not a neighbour was cut before.
    if lost or (exact and out.min() == NODATA):
        return out, LOST
    if out.min() == NODATA:  # the smallest value
        return out, "pixels that scan found valid have no data in some bands"
    return out, ""


def loses(patch: PlannedPatch, epsg: int, box: Box, valid: Flags, lost: Flags) -> bool:
    """Return whether a patch would get lost pixels of a tile if that were its only source.

    Args:
        patch: the patch.
        epsg: lattice of the tile.
        box: area that the arrays cover.
        valid: which pixels have data according to the mask that the plan used [line, col].
        lost: which of them turned out to have none [line, col].
    """
    if not lost.any():
        return False
    if epsg == patch.epsg:
        shared = patch.window.intersection(box)
        return shared is not None and bool(lost[shared.slices(box)].any())
    lines, cols = source_grid(patch.window, patch.epsg, epsg)
    shared = support(lines, cols).intersection(box)
    if shared is None:
        return False
    where = shared.slices(box)
    before, now = (bilinear_valid(flags[where], shared, lines, cols) for flags in (valid, valid & ~lost))
    return bool((before & ~now).any())


def _covers(pixels: TilePixels, patch: PlannedPatch) -> bool:
    """Whether all pixels of a patch come from a tile, as for most."""
    box = patch.window.intersection(pixels.box) if pixels.epsg == patch.epsg else None
    return box == patch.window and bool(pixels.valid[box.slices(pixels.box)].all())


def _copy(pixels: TilePixels, patch: PlannedPatch, out: Patch, missing: Flags) -> None:
    """Fill missing pixels from a tile on the lattice of the patch."""
    shared = patch.window.intersection(pixels.box)
    if shared is None:
        return
    inside = shared.slices(patch.window)
    values, valid = pixels.part(shared)
    take = missing[inside] & valid
    if take.all():
        out[:, *inside] = values
    else:
        np.copyto(out[:, *inside], values, where=take)
    missing[inside] &= ~take


def _resample(pixels: TilePixels, patch: PlannedPatch, out: Patch, missing: Flags) -> None:
    """Fill missing pixels from a tile on another lattice, by resampling."""
    lines, cols = source_grid(patch.window, patch.epsg, pixels.epsg)
    shared = support(lines, cols).intersection(pixels.box)
    if shared is None:
        return
    values, valid = pixels.part(shared)
    take = missing & bilinear_valid(valid, shared, lines, cols)
    if take.any():
        np.copyto(out, bilinear(np.ascontiguousarray(values), shared, lines, cols), where=take)
    missing &= ~take
