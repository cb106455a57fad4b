"""What the pixels of a spectral image say: where it has data, whether parts are missing, and a checksum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader

from spectralearth_build.archive.raster import NODATA, chunks, interleaved_by_pixel
from spectralearth_build.errors import HoleError, NoValidPixelError
from spectralearth_build.kernels import kernel

Bools = npt.NDArray[np.bool_]
Sums = npt.NDArray[np.int64]

HOLE = 64
"""Pixels in a row that must all be zero to count as a hole. In real pixels of water, the darkest there are, at most
26 % of the 128 pixels of a line are zero in any band."""


@dataclass(frozen=True, eq=False)
class PixelFacts:
    """What one pass over an image tells."""

    valid: Bools
    """Inside the swath and data in every band asked for [line, col]."""
    sums: Sums
    """Of each band, the sum of its values and that of value times position, modulo 2**64 [band, 2]."""


def inspect_image(dataset: DatasetReader, index: npt.NDArray[np.int32], inside: Bools) -> PixelFacts:
    """Read the kept bands of an image once, in parts.

    Args:
        dataset: the image, int16.
        index: 0-based kept bands.
        inside: pixels inside the swath [line, col].

    Returns:
        Validity and checksum; both depend on the pixels only, not on how the file stores them.

    Raises:
        HoleError: blocks are absent from the file, or zero from end to end, inside the swath.
        NoValidPixelError: no pixel has data in every band.
    """
    _refuse_sparse(dataset, index, inside)
    valid = inside.copy()
    sums = np.zeros((len(index), 2), np.int64)
    data = np.zeros(len(index), np.bool_)
    segment = max(HOLE, dataset.block_shapes[0][1])
    for part in chunks(dataset, len(index)):
        bands, rows, cols = part.bands, part.rows, part.cols
        read = dataset.read([int(i) + 1 for i in index[bands]], window=part.window)
        place = rows.start * dataset.width + cols.start
        found = _look(
            read,
            inside[rows, cols],
            valid[rows, cols],
            segment,
            place,
            dataset.width,
            sums[bands],
            data[bands],
        )
        if found >= 0:
            band, line = divmod(found, read.shape[1])
            raise HoleError(
                f"Band {index[bands][band] + 1} holds nothing but zeros in line {rows.start + line}"
                f" from column {cols.start} on.",
                dataset.name,
                "Part of the file was never written: download the product again.",
            )
    if not valid.any():
        empty = [str(i + 1) for i in index[~data]]
        shown = ", ".join(empty[:8]) + (f" and {len(empty) - 8} more" if len(empty) > 8 else "")
        what = f"Kept bands without any data: {shown}." if empty else "No pixel has data in every kept band."
        raise NoValidPixelError(what, dataset.name)
    return PixelFacts(valid, sums)


def _refuse_sparse(dataset: DatasetReader, index: npt.NDArray[np.int32], inside: Bools) -> None:
    """Refuse a file that lacks blocks where the swath is: GDAL reads them as nodata or zero without a word."""
    height, width = dataset.block_shapes[0]
    lines = np.arange(0, dataset.height, height)
    cols = np.arange(0, dataset.width, width)
    wanted = np.logical_or.reduceat(np.logical_or.reduceat(inside, lines, axis=0), cols, axis=1)
    for band in [1] if interleaved_by_pixel(dataset) else [int(i) + 1 for i in index]:
        for line, col in np.argwhere(wanted):
            if dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{line}", "TIFF", bidx=band) is None:
                what = f"The block at line {line * height}, column {col * width} of band {band} is missing."
                raise HoleError(what, dataset.name)


@kernel
def _look(
    part: npt.NDArray[np.int16],
    inside: Bools,
    valid: Bools,
    segment: int,
    place: int,
    stride: int,
    sums: Sums,
    data: Bools,
) -> int:
    """Update validity, sums and which bands have data; the first band * height + line with a hole, or -1."""
    bands, height, width = part.shape
    hole = -1
    for band in range(bands):
        total, weighted = np.int64(0), np.int64(0)
        for line in range(height):
            for start in range(0, width, segment):
                stop = min(width, start + segment)
                zeros, others = 0, 0
                for col in range(start, stop):
                    value = part[band, line, col]
                    if value == NODATA:
                        valid[line, col] = False
                    elif inside[line, col]:
                        total += value
                        weighted += value * np.int64(place + line * stride + col + 1)
                        if value == 0:
                            zeros += 1
                        else:
                            others += 1
                if others > 0:
                    data[band] = True
                elif zeros >= HOLE and hole < 0:
                    hole = band * height + line
        sums[band, 0] += total
        sums[band, 1] += weighted
    return hole
