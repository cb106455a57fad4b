"""GeoTIFFs of products, read without trust and in one pass, whatever their layout.

Only the GTiff driver may open a file, and nothing beside the file counts: a VRT named .TIF would read other files
and the network, and a stale .aux.xml would override coordinate system, transform and nodata.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from spectralearth_build.archive.disk import require_readable
from spectralearth_build.errors import BrokenRasterError

Pixels = npt.NDArray[np.int16]

NODATA = -32768
"""Value of a pixel without data, whatever the tag and METADATA.XML say (its backgroundValue is wrong)."""
MAX_SIDE = 10_000
"""Largest height and width in pixels; real rasters have up to 1517."""
MAX_BANDS = 1_000
MAX_VALUES = 2**31
"""Largest number of values; real images have up to 0.47e9."""
CHUNK = 32 * 2**20
"""Bytes to aim at when a raster is read in parts."""
CACHE = 64 * 2**20
"""GDAL's block cache; its default is 5 % of the memory in every process."""


@contextmanager
def open_raster(path: Path) -> Iterator[DatasetReader]:
    """Open a GeoTIFF for reading.

    Raises:
        BrokenRasterError: it is no GeoTIFF, claims absurd dimensions, or, while it is open, cannot be decoded.
        EmptyFileError, MissingFileError, UnreadableFileError: it cannot be read at all.
    """
    require_readable(path)
    options = {
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_GEOREF_SOURCES": "INTERNAL",
        "GDAL_CACHEMAX": CACHE,
        "GDAL_NUM_THREADS": "1",
    }
    try:
        with rasterio.Env(**options), _opened(path) as dataset:
            _check_size(dataset, path)
            yield dataset
    except RasterioError as error:
        raise BrokenRasterError(f"The raster cannot be read ({_reason(error, path)}).", path) from error


def read_image(path: Path, index: npt.NDArray[np.int32], lines: slice | None = None) -> Pixels:
    """Read bands of a spectral image in one pass over the file.

    Args:
        path: the GeoTIFF.
        index: 0-based bands, in the order wanted.
        lines: lines to read; None for all.

    Returns:
        int16 [band, line, col].

    Raises:
        BrokenRasterError: the file cannot be opened or decoded.
        EmptyFileError, MissingFileError, UnreadableFileError: it cannot be read at all.
    """
    with open_raster(path) as dataset:
        start, stop, _ = (lines or slice(None)).indices(dataset.height)
        out = np.empty((len(index), max(0, stop - start), dataset.width), np.int16)
        for bands, window in chunks(dataset, len(index), start, stop):
            rows, cols = window.toslices()
            part = out[bands, rows.start - start : rows.stop - start, cols]
            part[...] = dataset.read([int(i) + 1 for i in index[bands]], window=window)
    return out


def chunks(
    dataset: DatasetReader, bands: int, start: int = 0, stop: int | None = None
) -> Iterator[tuple[slice, Window]]:
    """Parts of a raster such that reading them one by one decodes each stored block once.

    Args:
        dataset: the raster.
        bands: number of bands that are wanted.
        start: first line.
        stop: one past the last line.

    Yields:
        Which of the wanted bands, and which window. Windows begin and end at block borders, so they start at a
        multiple of the block width; each part has at most about `CHUNK` bytes, or one band of one block.
    """
    stop = dataset.height if stop is None else stop
    by_pixel = interleaved_by_pixel(dataset)
    height, width = dataset.block_shapes[0]
    line = 2 * dataset.width * (bands if by_pixel else 1)
    if height * line > CHUNK and width < dataset.width:
        wide, high = width, height
    else:
        wide, high = dataset.width, max(1, CHUNK // (height * line)) * height
    edges = [start, *range((start // high + 1) * high, stop, high), stop]
    windows = [
        Window(left, top, min(wide, dataset.width - left), bottom - top)
        for top, bottom in pairwise(edges)
        for left in range(0, dataset.width, wide)
        if bottom > top
    ]
    if not by_pixel:
        yield from ((slice(band, band + 1), window) for band in range(bands) for window in windows)
        return
    together = max(1, CHUNK // (2 * wide * high))
    for window in windows:  # GDAL keeps the block that it decoded last, so the next bands cost nothing
        yield from ((slice(first, first + together), window) for first in range(0, bands, together))


def interleaved_by_pixel(dataset: DatasetReader) -> bool:
    """Whether a block holds all bands of its pixels."""
    return bool(dataset.count > 1 and dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL")


def _opened(path: Path) -> DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path.absolute(), driver="GTiff")


def _check_size(dataset: DatasetReader, path: Path) -> None:
    """Refuse dimensions that no product has before any memory is asked for."""
    height, width, count = dataset.height, dataset.width, dataset.count
    if max(height, width) > MAX_SIDE or count > MAX_BANDS or height * width * count > MAX_VALUES:
        raise BrokenRasterError(f"The raster claims {count} bands of {height} x {width} pixels.", path)
    block_height, block_width = dataset.block_shapes[0]
    if block_height > max(height, 1024) or block_width > max(width, 1024):
        raise BrokenRasterError(f"The raster claims blocks of {block_height} x {block_width} pixels.", path)


def _reason(error: BaseException, path: Path) -> str:
    """GDAL's own words, which rasterio hides one exception deeper, without folders and line breaks."""
    words = str(error.__cause__ or error).replace(f"{path.absolute().parent}/", "")
    return " ".join(words.split())[:300].rstrip(".")
