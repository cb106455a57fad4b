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
from spectralearth_build.kernels import inlined, kernel
from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.waive import how

Bools = npt.NDArray[np.bool_]
Sums = npt.NDArray[np.int64]
Line = npt.NDArray[np.int16]


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
        checksum: whether to make the sums, which are zeros otherwise.
    """

    def __init__(
        self, image: DatasetReader, index: npt.NDArray[np.int32], inside: Bools, checksum: bool = True
    ) -> None:
        self._index, self._inside, self._width = index, inside, image.block_shapes[0][1]
        self._checksum = checksum
        shape = len(index), image.height, -(-image.width // self._width)
        self._swath, self._dim = _swath(inside, self._width), np.ones(shape[1:], np.bool_)
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
        seen, sums, outside = self._seen, *(np.zeros((len(values), 2), np.int64) for _ in range(2))
        place = (part.bands.start, part.rows.start, part.cols.start)
        flags = (self._valid, seen.lit, self._dim, seen.data, seen.zero, seen.bright)
        _look(values, place, self._inside, self._swath, flags, sums, outside, self._width, self._checksum,
              holes.LEAST, holes.BRIGHT)  # fmt: skip
        with self._lock:  # flags of one pixel may be set twice, but sums must not be
            self._sums[part.bands] += sums
            seen.outside[part.bands] += outside

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


def _swath(inside: Bools, segment: int) -> npt.NDArray[np.int64]:
    """First column, column after the last, and number of pixels of the swath in segments [line, segment, 3]."""
    height, width = inside.shape
    count = -(-width // segment)
    padded = np.zeros((height, count * segment), np.bool_)
    padded[:, :width] = inside
    parts = padded.reshape(height, count, segment)
    number = parts.sum(axis=2)
    first, last = parts.argmax(axis=2), segment - parts[:, :, ::-1].argmax(axis=2)
    return np.stack([np.where(number, each, 0) for each in (first, last, number)], axis=2)


@kernel
def _look(
    part: Pixels,
    place: tuple[int, int, int],
    inside: Bools,
    swath: npt.NDArray[np.int64],
    flags: tuple[Bools, Bools, Bools, Bools, Bools, Bools],
    sums: Sums,
    outside: Sums,
    segment: int,
    checksum: bool,
    least: int,
    light: int,
) -> None:
    """Update validity, sums and `holes.ImageEvidence`. Thresholds are arguments because kernels are cached.

    Args:
        part: values [band, line, col].
        place: band, line and column of the first value in the other arrays, which cover the whole image.
        inside: pixels inside the swath [line, col].
        swath: see `_swath`.
        flags: valid and lit pixels [line, col], segments of which some pixel may not be lit [line, segment], bands with
            data [band], zero and bright segments [band, line, segment].
        sums: sums of each band of the part [band, 2].
        outside: numbers of -32768 and of 0 outside the swath [band, 2].
        segment: columns of a segment. The part begins at one.
        checksum: whether to make the sums.
        least: fewest zeros that are evidence.
        light: smallest value that is bright.
    """
    valid, lit, dim, data, zero, bright = flags
    for b in range(part.shape[0]):
        for k in range(part.shape[1]):
            line = place[1] + k
            for start in range(0, part.shape[2], segment):
                whole = part[b, k, start : start + segment]
                col = place[2] + start
                s = col // segment
                first, last, number = swath[line, s]
                ours = inside[line, col + first : col + last]
                row = whole[first:last]
                if number < last - first:
                    row = _only(row, ours)
                if number < len(whole):
                    for j, what in enumerate((NODATA, 0)):
                        outside[b, j] += _count(whole, what) - _count(row, what)
                dark, none, high = 0, 0, _at_least(row, light)
                if len(row) and _lowest(row) <= 0:
                    dark, none = _count(row, 0), _count(row, NODATA)
                if none:
                    usable = valid[line, col + first : col + last]
                    for i in range(len(row)):
                        usable[i] &= row[i] != NODATA
                if dark or dim[line, s]:
                    seen = lit[line, col + first : col + last]
                    for i in range(len(row)):
                        seen[i] |= row[i] != 0 and ours[i]
                    dim[line, s] &= dark > 0
                others = number - dark - none
                if others > 0:
                    data[place[0] + b] = True
                zero[place[0] + b, line, s] = others == 0 and dark >= least
                bright[place[0] + b, line, s] = 2 * high > dark + others
                if checksum:
                    total, weighted = _weighed(row, ours, line * inside.shape[1] + col + first + 1)
                    sums[b, 0] += total
                    sums[b, 1] += weighted


@inlined
def _only(row: Line, ours: Bools) -> Line:
    """A copy of a line in which the values outside the swath are 1: neither 0, nor missing, nor bright."""
    out = np.empty_like(row)
    for i in range(len(row)):
        out[i] = row[i] if ours[i] else np.int16(1)
    return out


# The compiler makes vectors of 16-bit values only of loops that do one thing, from the first value to the last.
@inlined
def _count(row: Line, value: int) -> int:
    found, wanted = np.int32(0), np.int16(value)
    for i in range(len(row)):
        found = np.int32(found + np.int32(row[i] == wanted))
    return int(found)


@inlined
def _at_least(row: Line, value: int) -> int:
    found, wanted = np.int32(0), np.int16(value)
    for i in range(len(row)):
        found = np.int32(found + np.int32(row[i] >= wanted))
    return int(found)


@inlined
def _lowest(row: Line) -> int:
    low = row[0]
    for i in range(len(row)):
        low = row[i] if row[i] < low else low
    return int(low)


@inlined
def _weighed(row: Line, ours: Bools, place: int) -> tuple[np.int64, np.int64]:
    """Sums of the values inside the swath that are not missing, and of these times their position."""
    total, weighted = np.int64(0), np.int64(0)
    for i in range(len(row)):
        value = np.int64(row[i]) if row[i] != NODATA and ours[i] else np.int64(0)
        total += value
        weighted += value * (place + i)
    return total, weighted
