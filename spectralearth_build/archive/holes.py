"""Which parts of a spectral image were never written: judged by patterns that no sensor or processor produces.

Zeros are data. Since V0103 the processor clips reflectance at 0: over real water 135 of the 202 kept bands are 0 in at
least 95 % of the pixels, so whole lines and blocks of sound products hold nothing else. What water, snow, shadow and
night cannot give, and an interrupted download does, is this:

- **Blocks that the file lacks**: their offset or size in the TIFF's tables is 0. GDAL reads them without a word.
- **Zeros where there is nothing to see**: a sound product has -32768 beyond the swath. A line of a raster has at most
  1517 pixels, 3034 bytes: whatever is lost of an uncompressed file stored in lines, by pages of 4096 bytes or more,
  reaches beyond the swath somewhere. All zeros that follow or precede such pixels without a gap are lost with them.
- **Pixels that are 0 in all bands**, those that are not kept among them: over water blue and green stay above 0, and
  every processor seen leaves at least six bands without data, -32768 even there.
- **A band that is 0 in `LEAST` pixels in a row or more, all there are, between bright bands**: spectra of water, snow
  and cloud tops fall to 0 over several bands, not from `BRIGHT` to nothing from one band to the next and back. Bands
  that are 0 together count as one. Zeros that follow or precede these without a gap are lost with them.

A hole may begin and end in the midst of a pixel or of a value, so the pixels before and after it are lost too.

Not asked is which bytes the file system has never stored: ZFS, ``cp --sparse`` and ``rsync -S`` leave out zeros that
are data. In compressed files a block of zero bytes does not decode (deflate, LZW, zstd, packbits and LERC were tried):
that is a broken raster, and no matter of this module, although a copy that was made of a damaged file is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from scipy import ndimage

from spectralearth_build.archive.raster import NODATA, chunks, interleaved_by_pixel

Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int32]

LEAST = 16
"""Zeros in a row, at least, that say something about their band."""
BRIGHT = 200
"""Reflectance 0.02, times 10,000: what neighbours in the spectrum must exceed in most pixels. In real pixels of water
only blue and green bands do, and there no band is 0."""
BEYOND = 32
"""Pixels from the swath from which on there is surely nothing: the two detectors see the ground 20 lines apart, so the
classes and the image may disagree that far. In rasters below 512 pixels a sixteenth of the shorter edge."""
RARE = 0.01
"""Share of -32768 beyond the swath below which the file seems to write something else there (METADATA.XML says 0), so
that zeros prove nothing. A damaged file may be down to a few per cent."""
GROUP = 16
"""Bands looked at together when a damaged file is read again: about 50 MB."""


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """What the one pass over an image gathers for `find`."""

    lit: Bools
    """Some kept band is not 0, or it is outside the swath [line, col]."""
    outside: npt.NDArray[np.int64]
    """Of each kept band outside the swath, how many values are -32768 and how many 0 [band, 2]."""
    data: Bools
    """The kept band has a value other than 0 inside the swath [band]."""
    zero: Bools
    """All values inside the swath are 0, and there are `LEAST` [band, line, segment]."""
    bright: Bools
    """Most values inside the swath are `BRIGHT` or more [band, line, segment]."""
    width: int
    """Columns of a segment: those of a block."""


def find(dataset: DatasetReader, index: Index, inside: Bools, near: Index, seen: ImageEvidence) -> Bools:
    """The pixels inside the swath that were never written in some kept band [line, col].

    Args:
        dataset: the image.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].
        near: for each kept band, the positions in ``index`` of those before and after it in the spectrum of its
            detector, -1 for none [band, 2].
        seen: what a pass over all of it gave.
    """
    black = _without_light(dataset, index, inside & ~seen.lit)
    hole = absent(dataset, index, inside) | _with_ends(black, dataset.block_shapes[0])
    return inside & (hole | _joined(dataset, index, inside, near, seen))


def absent(dataset: DatasetReader, index: Index, inside: Bools) -> Bools:
    """Where blocks with pixels inside the swath are missing from the file's tables [line, col]."""
    height, width = dataset.block_shapes[0]
    lines = np.arange(0, dataset.height, height)
    cols = np.arange(0, dataset.width, width)
    wanted = np.logical_or.reduceat(np.logical_or.reduceat(inside, lines, axis=0), cols, axis=1)
    lost = np.zeros_like(inside)
    for band in [1] if interleaved_by_pixel(dataset) else [int(i) + 1 for i in index]:
        for line, col in np.argwhere(wanted):
            if dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{line}", "TIFF", bidx=band) is None:
                lost[line * height : (line + 1) * height, col * width : (col + 1) * width] = True
    return lost


def between(zero: Bools, bright: Bools, near: Index) -> Bools:
    """Segments in which bands are 0 between bright ones.

    Args:
        zero: of each band, the segments that are 0 [band, line, segment].
        bright: those that are bright.
        near: positions of the bands before and after in the spectrum, -1 for none [band, 2]; bands are in order of
            wavelength.

    Returns:
        [band, line, segment]: the band, or some bands together, go from bright to 0 and back to bright.
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
    """Of pixels that are 0 in all kept bands, those that are so in the others too."""
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
    """Zeros of a band that are joined to zeros which prove that it was not written there [line, col]."""
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
            # A band that has data, and nothing but 0 around, says by 0 that there is nothing.
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
        hit[0] = False  # what is no zero
        found[order] |= hit[runs]
    return found.reshape(zero.shape)


def _with_ends(hole: Bools, block: tuple[int, int]) -> Bools:
    """A hole with the pixels before and after it in the order of the file."""
    if not hole.any():
        return hole
    order = _in_blocks(hole.shape, block)
    wider = np.empty(hole.size, np.bool_)
    wider[order] = ndimage.maximum_filter1d(hole.ravel()[order], 3, mode="constant")
    return wider.reshape(hole.shape)


def _in_blocks(shape: tuple[int, ...], block: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The pixels of a raster, as positions in reading order, in the order in which a file of blocks has them."""
    line, col = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.lexsort((col, line, col // block[1], line // block[0]))
