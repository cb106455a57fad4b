"""Inspect the pixels of a spectral image: where it has data, which parts were never written, and a checksum."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader

from spectralearth_build.archive import holes
from spectralearth_build.archive.raster import Pixels, RasterPart, chunks, interleaved_by_pixel
from spectralearth_build.errors import HoleError, NoValidPixelError
from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.waive import how

Bools = npt.NDArray[np.bool_]
Sums = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """Results of one pass over an image."""

    valid: Bools
    """Inside the swath and with data in every kept band [line, col]; a hole that reads as zeros counts as data."""
    hole: Bools
    """Inside the swath but never written in the file [line, col]; see `holes`."""
    sums: Sums
    """Sum of values, and of values times position, of each band, modulo 2**64 [band, 2]."""


class ImagePass:
    """A pass over the kept bands of an image, part by part, in any order and by any number of threads.

    Args:
        image: the image, int16.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].
    """

    def __init__(self, image: DatasetReader, index: npt.NDArray[np.int32], inside: Bools) -> None:
        self._index, self._inside, self._width = index, inside, image.block_shapes[0][1]
        shape = len(index), image.height, -(-image.width // self._width)
        self._valid, self._sums = inside.copy(), np.zeros((len(index), 2), np.int64)
        self._seen = holes.ImageEvidence(
            ~inside,
            np.zeros((len(index), 2), np.int64),
            data=np.zeros(len(index), np.bool_),
            zero=np.zeros(shape, np.bool_),
            bright=np.zeros(shape, np.bool_),
            width=self._width,
        )
        self._lock = threading.Lock()

    def look(self, part: RasterPart, values: Pixels) -> None:
        """Take note of the values of a part.

        Args:
            part: one of the parts into which `raster.chunks` divides the image.
            values: int16 [band, line, col], contiguous.
        """
        seen, bands, rows, cols = self._seen, part.bands, part.rows, part.cols
        segments = slice(cols.start // self._width, -(-cols.stop // self._width))
        sums, outside = (np.zeros((len(values), 2), np.int64) for _ in range(2))
        stride = self._inside.shape[1]
        _look(
            values,
            self._inside[rows, cols],
            self._valid[rows, cols],
            rows.start * stride + cols.start,
            stride,
            sums,
            seen.lit[rows, cols],
            outside,
            seen.data[bands],
            seen.zero[bands, rows, segments],
            seen.bright[bands, rows, segments],
            self._width,
            holes.LEAST,
            holes.BRIGHT,
        )
        with self._lock:  # flags of one pixel may be set twice, but sums must not be
            self._sums[bands] += sums
            seen.outside[bands] += outside

    def result(self, image: DatasetReader, near: npt.NDArray[np.int32]) -> ImageSummary:
        """Return what all parts together show. Some bands of a damaged image are read again.

        Args:
            image: the image.
            near: for each kept band, the positions in the index of the previous and the next band in the spectrum of
                its detector, -1 for none [band, 2].

        Raises:
            NoValidPixelError: no pixel has data in every kept band, and there is no hole that would explain it.
        """
        hole = holes.find(image, self._index, self._inside, near, self._seen)
        if not self._valid.any() and not hole.any():
            raise _nothing(image, self._index, self._seen.data)
        return ImageSummary(self._valid, hole, self._sums)


def inspect_image(
    dataset: DatasetReader, index: npt.NDArray[np.int32], inside: Bools, near: npt.NDArray[np.int32]
) -> ImageSummary:
    """Read the kept bands of an image once, in parts. For the arguments see `ImagePass`.

    Returns:
        Validity, holes and checksum. Validity and checksum depend only on the pixels, not on the layout of the file.

    Raises:
        NoValidPixelError: no pixel has data in every kept band, and there is no hole that would explain it.
    """
    looking = ImagePass(dataset, index, inside)
    for part in chunks(dataset, len(index)):
        looking.look(part, dataset.read([int(i) + 1 for i in index[part.bands]], window=part.window))
    return looking.result(dataset, near)


def usable(pixels: ImageSummary, holes_too: bool, tile_id: str, path: Path | str) -> Bools:
    """The pixels of an image that can be used [line, col].

    Args:
        pixels: the result of a pass.
        holes_too: whether holes count as data, because `scan.accept` says so.
        tile_id: the tile, for the message.
        path: the file, for the message.

    Raises:
        HoleError: there are none.
    """
    if holes_too:
        return pixels.valid
    valid = pixels.valid & ~pixels.hole
    if not valid.any():
        raise HoleError(
            "No pixel is usable: every pixel with data is in a part of the file that was never written.",
            path,
            f"Download the product again. If it is as delivered, accept it: type {how(tile_id, 'hole')}.",
        )
    return valid


def of_few_bands(
    image: DatasetReader, index: npt.NDArray[np.int32], inside: Bools, near: npt.NDArray[np.int32]
) -> Bools:
    """Pixels inside the swath with data in the first and the last kept band of each detector [line, col].

    The detectors see the ground some lines apart, so one of them may lack the first or the last lines of a tile. In a
    file that stores all bands of a pixel together, a few bands take as long as all, and nothing is read.

    Args:
        image: the image, int16.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].
        near: as for `ImagePass.result`.
    """
    if interleaved_by_pixel(image):
        return inside.copy()
    valid = inside.copy()
    for band in index[(near < 0).any(axis=1)]:
        valid &= image.read(int(band) + 1) != NODATA
    return valid


def _nothing(dataset: DatasetReader, index: npt.NDArray[np.int32], data: Bools) -> NoValidPixelError:
    """The error for an image without a valid pixel."""
    empty = [str(i + 1) for i in index[~data]]
    if not empty:
        return NoValidPixelError("No pixel has data in every kept band.", dataset.name)
    shown = ", ".join(empty[:8]) + (f" and {len(empty) - 8} more" if len(empty) > 8 else "")
    return NoValidPixelError(f"Kept bands without any data: {shown}.", dataset.name)


@kernel
def _look(
    part: npt.NDArray[np.int16],
    inside: Bools,
    valid: Bools,
    place: int,
    stride: int,
    sums: Sums,
    lit: Bools,
    outside: Sums,
    data: Bools,
    zero: Bools,
    bright: Bools,
    segment: int,
    least: int,
    light: int,
) -> None:
    """Update validity, sums and `holes.ImageEvidence`. Thresholds are arguments because kernels are cached."""
    bands, height, width = part.shape
    for band in range(bands):
        total, weighted = np.int64(0), np.int64(0)
        for line in range(height):
            for start in range(0, width, segment):
                stop = min(width, start + segment)
                zeros, others, high = 0, 0, 0
                for col in range(start, stop):
                    value = part[band, line, col]
                    if inside[line, col]:
                        if value == NODATA:
                            valid[line, col] = False
                            lit[line, col] = True
                            continue
                        total += value
                        weighted += value * np.int64(place + line * stride + col + 1)
                        if value == 0:
                            zeros += 1
                            continue
                        others += 1
                        lit[line, col] = True
                        if value >= light:
                            high += 1
                    elif value == NODATA:
                        outside[band, 0] += 1
                    elif value == 0:
                        outside[band, 1] += 1
                if others > 0:
                    data[band] = True
                zero[band, line, start // segment] = others == 0 and zeros >= least
                bright[band, line, start // segment] = 2 * high > zeros + others
        sums[band, 0] += total
        sums[band, 1] += weighted
