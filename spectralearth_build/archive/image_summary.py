"""Inspect the pixels of a spectral image: where it has data, which parts were never written, and a checksum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader

from spectralearth_build.archive import holes
from spectralearth_build.archive.raster import chunks
from spectralearth_build.errors import NoValidPixelError
from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import NODATA

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


def inspect_image(
    dataset: DatasetReader, index: npt.NDArray[np.int32], inside: Bools, near: npt.NDArray[np.int32]
) -> ImageSummary:
    """Read the kept bands of an image once, in parts. Some bands of a damaged image are read again.

    Args:
        dataset: the image, int16.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].
        near: for each kept band, the positions in ``index`` of the previous and the next band in the spectrum of its
            detector, -1 for none [band, 2].

    Returns:
        Validity, holes and checksum. Validity and checksum depend only on the pixels, not on the layout of the file.

    Raises:
        NoValidPixelError: no pixel has data in every kept band, and there is no hole that would explain it.
    """
    valid, lit = inside.copy(), ~inside
    width = dataset.block_shapes[0][1]
    shape = len(index), dataset.height, -(-dataset.width // width)
    seen = holes.ImageEvidence(
        lit,
        np.zeros((len(index), 2), np.int64),
        data=np.zeros(len(index), np.bool_),
        zero=np.zeros(shape, np.bool_),
        bright=np.zeros(shape, np.bool_),
        width=width,
    )
    sums = np.zeros((len(index), 2), np.int64)
    for part in chunks(dataset, len(index)):
        bands, rows, cols = part.bands, part.rows, part.cols
        segments = slice(cols.start // width, -(-cols.stop // width))
        _look(
            dataset.read([int(i) + 1 for i in index[bands]], window=part.window),
            inside[rows, cols],
            valid[rows, cols],
            rows.start * dataset.width + cols.start,
            dataset.width,
            sums[bands],
            lit[rows, cols],
            seen.outside[bands],
            seen.data[bands],
            seen.zero[bands, rows, segments],
            seen.bright[bands, rows, segments],
            width,
            holes.LEAST,
            holes.BRIGHT,
        )
    hole = holes.find(dataset, index, inside, near, seen)
    if not valid.any() and not hole.any():
        raise _nothing(dataset, index, seen.data)
    return ImageSummary(valid, hole, sums)


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
