"""The pixels of one patch: from one tile, from neighbours of the same datatake, or resampled from another zone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spectralearth_build.archive import mask as masks
from spectralearth_build.archive.names import IMAGE
from spectralearth_build.archive.product import open_product
from spectralearth_build.archive.raster import read_image
from spectralearth_build.errors import MetadataMismatchError, MissingFileError, ProductError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.resample import bilinear, bilinear_valid, source_grid, support
from spectralearth_build.store.codec import NODATA, PATCH_SHAPE, Patch
from spectralearth_build.store.task import PlannedPatch, Source

SCRATCH = "work/scratch"
"""Where products in archives are unpacked: beside the dataset there is room, in /tmp there may not be."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pixels:
    """Lines of a tile, read once."""

    epsg: int
    """Lattice."""
    box: Box
    """What the arrays cover."""
    values: Patch
    """int16 [202, line, col]."""
    valid: Flags
    """Which pixels have data, by the tile's mask; bool [line, col]."""

    def part(self, box: Box) -> tuple[Patch, Flags]:
        """Values and validity of a box inside (views)."""
        where = box.slices(self.box)
        return self.values[:, *where], self.valid[where]


Sources = Callable[[str], Pixels]
"""Gives the pixels of a tile by name, or raises a ProductError."""


def needed(patch: PlannedPatch, source: Source) -> Box | None:
    """The box of a source's raster that may give pixels to a patch."""
    if source.epsg == patch.epsg:
        return patch.window.intersection(source.box)
    return support(*source_grid(patch.window, patch.epsg, source.epsg)).intersection(source.box)


def lines_needed(patches: Iterable[PlannedPatch], source: Source) -> Box | None:
    """The lines of a source's raster, full width, that may give pixels to any of the patches."""
    boxes = [box for patch in patches if source.tile_id in patch.sources and (box := needed(patch, source))]
    if not boxes:
        return None
    first, stop = min(box.line for box in boxes), max(box.stop_line for box in boxes)
    return Box(first, source.box.col, stop - first, source.box.width)


def read_pixels(archive: Path, dataset: Path, source: Source, box: Box) -> Pixels:
    """Read lines of a tile.

    Args:
        archive: folder of the products.
        dataset: the dataset, which has the masks.
        source: the tile.
        box: lines to read, full width.

    Raises:
        ProductError: whatever is wrong with the product, under its path below the archive.
    """
    lines = slice(box.line - source.box.line, box.stop_line - source.box.line)
    try:
        with open_product(archive, source.path, dataset / SCRATCH, (IMAGE,)) as product:
            values = read_image(product.image_path, np.array(source.band_index, np.int32), lines)
    except ProductError as error:
        # Elsewhere the archive, and the folder it is unpacked to, have other names; the table must be the same.
        raise type(error)(error.what, source.path, error.remedy) from error
    if values.shape[1:] != (box.height, box.width):
        raise MetadataMismatchError(
            f"The raster is not the one that was scanned, {box.width} wide.", source.path
        )
    return Pixels(source.epsg, box, values, _valid(dataset, source)[lines])


def compose(patch: PlannedPatch, sources: Sources) -> tuple[Patch, str]:
    """Put a patch together.

    Each pixel comes from the first source that is valid there.

    Returns:
        int16 [202, 128, 128], and why it cannot be used; empty if it can.
    """
    out = np.full(PATCH_SHAPE, NODATA, np.int16)
    missing = np.ones(PATCH_SHAPE[1:], bool)
    for name in patch.sources:
        try:
            pixels = sources(name)
        except ProductError as error:
            return out, f"{name} cannot be read: {type(error).__name__}"
        if pixels.epsg == patch.epsg:
            _copy(pixels, patch, out, missing)
        else:
            _resample(pixels, patch, out, missing)
    if missing.any():
        return out, f"{int(missing.sum())} pixels have no data any more"
    if (out == NODATA).any():
        return out, "pixels that scan found valid have no data in some bands"
    return out, ""


def _copy(pixels: Pixels, patch: PlannedPatch, out: Patch, missing: Flags) -> None:
    """Fill what is missing from a tile on the patch's own lattice."""
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


def _resample(pixels: Pixels, patch: PlannedPatch, out: Patch, missing: Flags) -> None:
    """Fill what is missing from a tile on another lattice."""
    lines, cols = source_grid(patch.window, patch.epsg, pixels.epsg)
    shared = support(lines, cols).intersection(pixels.box)
    if shared is None:
        return
    values, valid = pixels.part(shared)
    take = missing & bilinear_valid(valid, shared, lines, cols)
    if take.any():
        np.copyto(out, bilinear(np.ascontiguousarray(values), shared, lines, cols), where=take)
    missing &= ~take


def _valid(dataset: Path, source: Source) -> Flags:
    """Validity of a tile's pixels, bool [line, col], from its mask."""
    try:
        mask = masks.load(dataset / source.mask)
    except (OSError, ValueError, zlib.error) as error:
        what = "The tile's mask is missing from the dataset's work folder, or damaged."
        raise MissingFileError(
            what, source.mask, "Delete it, if it is there, and run `scan` again."
        ) from error
    return np.asarray(mask & masks.VALID, dtype=bool)
