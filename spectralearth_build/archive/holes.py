"""Find parts of a spectral image that were never written, by patterns that no sensor or processor produces.

Zeros are data. Since V0103 the processor clips reflectance at 0: over real water, 135 of the 202 kept bands are 0 in
at least 95 % of the pixels, so whole lines and blocks of sound products contain only zeros. An interrupted download
leaves patterns that water, snow, shadow and night cannot produce:

- **Blocks that are missing from the file**: their offset or size in the TIFF's tables is 0. GDAL reads them silently.
- **Zeros outside the swath**: a sound product has -32768 there. A line of a raster has at most 1517 pixels, 3034 bytes.
  So in an uncompressed file stored in lines, any loss of whole pages of 4096 bytes or more includes pixels outside the
  swath. All zeros that follow or precede such pixels without a gap are lost with them.
- **Pixels that are 0 in all bands**, including bands that are not kept: over water, blue and green stay above 0, and
  every known processor leaves at least six bands without data, with -32768 even there.
- **A band that is 0 in a run of `LEAST` or more pixels, the whole segment, between bright bands**: spectra of water,
  snow and cloud tops fall to 0 over several bands, not from `BRIGHT` to 0 and back between adjacent bands. Adjacent
  bands that are 0 count as one. Zeros that follow or precede these without a gap are lost with them.

A hole may begin or end within a pixel or a value, so the pixels before and after it are lost too.

Whether the file system has stored the bytes is not checked: ZFS, ``cp --sparse`` and ``rsync -S`` leave out zeros that
are data. In compressed files, a block of zero bytes cannot be decoded (deflate, LZW, zstd, packbits and LERC were
tried). That is a broken raster, which this module does not handle. It does handle compressed copies of damaged files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from scipy import ndimage

from spectralearth_build.archive.raster import chunks, interleaved_by_pixel
from spectralearth_build.overlap.lattice import NODATA

Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int32]

LEAST = 16
"""Smallest number of zeros in a segment that is evidence about the band."""
BRIGHT = 200
"""Reflectance 0.02, times 10,000, which the neighbouring bands must reach in most pixels. Over real water, only blue
and green bands do, and no band is 0 there."""
BEYOND = 32
"""Distance from the swath, pixels, beyond which there is certainly no data. The two detectors see the ground 20 lines
apart, so classes and image may disagree that far. In rasters below 512 pixels, 1/16 of the shorter edge is used."""
RARE = 0.01
"""Fraction of -32768 outside the swath below which the file seems to use another value there (METADATA.XML says 0), so
that zeros prove nothing. In a damaged file, the fraction may be as low as a few per cent."""
GROUP = 16
"""Bands to read at a time when a damaged file is read again: about 50 MB."""


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """What a single pass over an image collects for `find`."""

    lit: Bools
    """The pixel is not 0 in some kept band, or is outside the swath [line, col]."""
    outside: npt.NDArray[np.int64]
    """For each kept band, the number of values outside the swath that are -32768 and that are 0 [band, 2]."""
    data: Bools
    """The kept band has a value other than 0 inside the swath [band]."""
    zero: Bools
    """All values inside the swath are 0, and there are at least `LEAST` of them [band, line, segment]."""
    bright: Bools
    """Most values inside the swath are `BRIGHT` or more [band, line, segment]."""
    width: int
    """Columns of a segment: the width of a block."""


def find(dataset: DatasetReader, index: Index, inside: Bools, near: Index, seen: ImageEvidence) -> Bools:
    """Find the pixels inside the swath that were never written in some kept band [line, col].

    Args:
        dataset: the image.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].
        near: for each kept band, the positions in ``index`` of the previous and the next band in the spectrum of its
            detector, -1 for none [band, 2].
        seen: the result of a pass over the whole image.
    """
    black = _without_light(dataset, index, inside & ~seen.lit)
    hole = absent(dataset, index, inside) | _with_ends(black, dataset.block_shapes[0])
    return inside & (hole | _joined(dataset, index, inside, near, seen))


def absent(dataset: DatasetReader, index: Index, inside: Bools) -> Bools:
    """Pixels of blocks that touch the swath and are missing from the file's tables [line, col]."""
    kept = [1] if interleaved_by_pixel(dataset) else [int(i) + 1 for i in index]
    return _spread(np.logical_or.reduce(_missing(dataset, kept, inside)), dataset)


def never_written(dataset: DatasetReader, index: Index, inside: Bools) -> Bools:
    """What `find` finds because of missing blocks, without decoding any [line, col]."""
    lost = absent(dataset, index, inside)
    if not lost.any():
        return lost
    bands = [1] if interleaved_by_pixel(dataset) else [*range(1, dataset.count + 1)]
    black = _spread(np.logical_and.reduce(_missing(dataset, bands, inside)), dataset)
    return inside & (lost | _with_ends(inside & black, dataset.block_shapes[0]))


def _missing(dataset: DatasetReader, bands: Sequence[int], inside: Bools) -> Bools:
    """Which blocks that touch the swath are missing from the file's tables [band, line of blocks, column of blocks]."""
    height, width = dataset.block_shapes[0]
    lines, cols = np.arange(0, dataset.height, height), np.arange(0, dataset.width, width)
    wanted = np.logical_or.reduceat(np.logical_or.reduceat(inside, lines, axis=0), cols, axis=1)
    lost = np.zeros((len(bands), *wanted.shape), np.bool_)
    places = np.argwhere(wanted).tolist()
    for number, band in enumerate(bands):
        for line, col in places:
            lost[number, line, col] = (
                dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{line}", "TIFF", bidx=band) is None
            )
    return lost


def _spread(blocks: Bools, dataset: DatasetReader) -> Bools:
    """Flags of blocks [line of blocks, column of blocks] as flags of pixels [line, col]."""
    height, width = dataset.block_shapes[0]
    return np.repeat(np.repeat(blocks, height, axis=0), width, axis=1)[: dataset.height, : dataset.width]


def between(zero: Bools, bright: Bools, near: Index) -> Bools:
    """Find segments in which a band, or several adjacent bands, are 0 between bright bands.

    Args:
        zero: segments of each band that are 0 [band, line, segment].
        bright: segments of each band that are bright [band, line, segment].
        near: positions of the previous and the next band in the spectrum, -1 for none [band, 2]; bands are in order
            of wavelength.

    Returns:
        Whether the spectrum goes from bright to 0 at this band and back to bright [band, line, segment].
    """
    fallen = np.zeros_like(zero)
    for band, before in enumerate(near[:, 0]):
        if before >= 0:
            fallen[band] = zero[band] & (bright[before] | fallen[before])
    risen = np.zeros_like(zero)
    for band in range(len(zero) - 1, -1, -1):
        after = near[band, 1]
        if after >= 0:
            risen[band] = zero[band] & (bright[after] | risen[after])
    return fallen & risen


def _without_light(dataset: DatasetReader, index: Index, black: Bools) -> Bools:
    """Of the pixels that are 0 in all kept bands, those that are 0 in all other bands too."""
    rest = [int(band) + 1 for band in np.setdiff1d(np.arange(dataset.count), index)]
    lines = np.flatnonzero(black.any(axis=1))
    if not rest or not lines.size:
        return black
    black = black.copy()
    for part in chunks(dataset, len(rest), slice(lines[0], lines[-1] + 1)):
        values = dataset.read(rest[part.bands], window=part.window)
        black[part.rows, part.cols] &= (values == 0).all(axis=0)
    return black


def _joined(dataset: DatasetReader, index: Index, inside: Bools, near: Index, seen: ImageEvidence) -> Bools:
    """Zeros of a band that are connected to zeros that prove that it was not written there [line, col]."""
    lost, block = np.zeros_like(inside), dataset.block_shapes[0]
    fallen = between(seen.zero, seen.bright, near)
    margin = min(BEYOND, min(inside.shape) // 16)
    doubtful = seen.outside[:, 1] > 0
    if seen.outside[:, 0].sum() < RARE * len(index) * (~inside).sum():
        doubtful[:] = False
    deep = ndimage.distance_transform_cdt(~inside, "chessboard") > margin if doubtful.any() else lost
    bands = np.flatnonzero(doubtful | fallen.any(axis=(1, 2)))
    for first in range(0, len(bands), GROUP):
        group = bands[first : first + GROUP]
        for band, values in zip(group, dataset.read([int(i) + 1 for i in index[group]]), strict=True):
            evidence = np.repeat(fallen[band], seen.width, axis=1)[:, : dataset.width]
            # A band that has data but only 0 outside the swath uses 0 for no data.
            if doubtful[band] and (not seen.data[band] or (values[deep] == NODATA).any()):
                evidence |= deep
            lost |= _with_ends(_runs(values == 0, evidence, block), block)
    return lost


def _runs(zero: Bools, evidence: Bools, block: tuple[int, int]) -> Bools:
    """Runs of zeros with evidence in them [line, col]: by lines and, where there are blocks, in the file's order."""
    found = np.zeros(zero.size, np.bool_)
    orders = [np.arange(zero.size)]
    if block[1] < zero.shape[1]:
        orders.append(_in_blocks(zero.shape, block))
    for order in orders:
        runs, count = ndimage.label(zero.ravel()[order])
        hit = np.zeros(count + 1, np.bool_)
        hit[runs[evidence.ravel()[order]]] = True
        hit[0] = False  # pixels that are not 0
        found[order] |= hit[runs]
    return found.reshape(zero.shape)


def _with_ends(hole: Bools, block: tuple[int, int]) -> Bools:
    """A hole plus the pixels before and after it in the order of the file."""
    if not hole.any():
        return hole
    order = _in_blocks(hole.shape, block)
    wider = np.empty(hole.size, np.bool_)
    wider[order] = ndimage.maximum_filter1d(hole.ravel()[order], 3, mode="constant")
    return wider.reshape(hole.shape)


def _in_blocks(shape: tuple[int, ...], block: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The positions of a raster's pixels in reading order, sorted as a file with blocks stores them."""
    line, col = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.lexsort((col, line, col // block[1], line // block[0]))
