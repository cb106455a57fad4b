"""Read GeoTIFFs of products in one pass, whatever their layout. The files are not trusted.

Only the GTiff driver may open a file, and files next to it are ignored: a VRT named .TIF would read other files
and the network, and a stale .aux.xml would override coordinate system, transform and nodata.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.session import DummySession
from rasterio.windows import Window

from spectralearth_build.archive.disk import require_readable, require_whole
from spectralearth_build.errors import BrokenRasterError

Pixels = npt.NDArray[np.int16]

MAX_SIDE = 10_000
"""Largest height and width, pixels; real rasters have up to 1517."""
MAX_BANDS = 1_000
MAX_VALUES = 2**31
"""Largest number of values; real images have up to 0.47e9."""
CHUNK = 32 * 2**20
"""Target size in bytes of a part of a raster."""
CACHE = 64 * 2**20
"""Size of GDAL's block cache, bytes. The default is 5 % of the memory in every process."""


@contextmanager
def open_raster(path: Path) -> Iterator[DatasetReader]:
    """Open a GeoTIFF for reading.

    Raises:
        BrokenRasterError: it is not a GeoTIFF, claims impossible dimensions, or cannot be decoded while it is open.
        EmptyFileError, MissingFileError, UnreadableFileError: some of its bytes cannot be read.
    """
    with _reading(path), _opened(path) as dataset:
        _check_size(dataset, path)
        yield dataset


class SharedRaster:
    """A GeoTIFF that several threads read, each with a handle of its own for the time of a read.

    Handles are used again, because opening a file of 200 bands reads tables of 85,000 blocks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[DatasetReader] = []

    @contextmanager
    def opened(self) -> Iterator[DatasetReader]:
        """Lend a handle. For the errors see `open_raster`."""
        with _reading(self._path):
            try:
                dataset = self._idle.pop()
            except IndexError:
                dataset = _opened(self._path)
                _check_size(dataset, self._path)
            try:
                yield dataset
            except BaseException:
                dataset.close()
                raise
            self._idle.append(dataset)

    def close(self) -> None:
        """Close all handles that are not lent."""
        while self._idle:
            self._idle.pop().close()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Settings of GDAL while a file is opened and read, and errors in our words."""
    require_readable(path)
    options = {
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_GEOREF_SOURCES": "INTERNAL",
        "GDAL_CACHEMAX": CACHE,
        "GDAL_NUM_THREADS": "1",
        "GTIFF_IGNORE_READ_ERRORS": "NO",  # overrides the environment: truncated blocks would read as zeros
        "GTIFF_POINT_GEO_IGNORE": "NO",  # overrides the environment: pixels would be shifted by half a pixel
    }
    try:
        # No session: otherwise rasterio looks for AWS credentials and passes them to GDAL, 50 ms per file.
        with rasterio.Env(DummySession(), **options):
            yield
    except RasterioError as error:
        require_whole(path)  # GDAL reports a failing disk like a truncated file
        raise BrokenRasterError(f"The raster cannot be read ({_reason(error, path)}).", path) from error


@dataclass(frozen=True)
class RasterPart:
    """The extent of one read: some of the wanted bands, in one window."""

    bands: slice
    """Positions in the list of wanted bands."""
    rows: slice
    """Lines of the raster."""
    cols: slice
    """Columns of the raster."""

    @property
    def window(self) -> Window:
        """Lines and columns as a rasterio window."""
        return Window.from_slices(self.rows, self.cols)


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
        EmptyFileError, MissingFileError, UnreadableFileError: the file cannot be read.
    """
    with open_raster(path) as dataset:
        start, stop, _ = (lines or slice(None)).indices(dataset.height)
        out = np.empty((len(index), max(0, stop - start), dataset.width), np.int16)
        for part in chunks(dataset, len(index), slice(start, stop)):
            read_part(dataset, index, part, out, (start, 0))
    return out


def read_part(
    dataset: DatasetReader,
    index: npt.NDArray[np.int32],
    part: RasterPart,
    out: Pixels,
    origin: tuple[int, int],
) -> None:
    """Decode a part into its position in an array.

    Args:
        dataset: the raster.
        index: 0-based wanted bands.
        part: one of `chunks`.
        out: int16 [band, line, col], filled at the position of the part.
        origin: line and column of the raster where ``out`` begins.
    """
    rows, cols = (slice(s.start - o, s.stop - o) for s, o in zip((part.rows, part.cols), origin, strict=True))
    bands = [int(i) + 1 for i in index[part.bands]]
    dataset.read(bands, window=part.window, out=out[part.bands, rows, cols])


def chunks(
    dataset: DatasetReader, bands: int, lines: slice | None = None, cols: slice | None = None
) -> Iterator[RasterPart]:
    """Divide a raster into parts such that reading them, in any order, decodes each stored block once.

    Args:
        dataset: the raster.
        bands: number of wanted bands.
        lines: wanted lines; None for all.
        cols: wanted columns; None for all.

    Yields:
        Parts that begin and end at block borders or at the borders of the wanted area, from left to right. Each has at
        most about `CHUNK` bytes, or one block (of one band, if bands are stored separately). A part has as many bands
        as possible, since every read has a fixed cost, and the blocks of a band are adjacent in the file.
    """
    top, bottom, _ = (lines or slice(None)).indices(dataset.height)
    left, right, _ = (cols or slice(None)).indices(dataset.width)
    height, width = dataset.block_shapes[0]
    deep = 2 * (bands if interleaved_by_pixel(dataset) else 1)
    wide = dataset.width if width >= dataset.width else width
    high = max(1, min(CHUNK // (height * wide * deep), -(-dataset.height // height))) * height
    together = bands if deep > 2 else max(1, CHUNK // (2 * min(high, max(1, bottom - top)) * wide))
    for place in _borders(left, right, wide):
        for rows in _borders(top, bottom, high):
            for first in range(0, bands, together):
                yield RasterPart(slice(first, min(bands, first + together)), rows, place)


def _borders(start: int, stop: int, step: int) -> Iterator[slice]:
    """Pieces of a range, divided at the multiples of ``step``."""
    edges = [start, *range((start // step + 1) * step, stop, step), stop]
    yield from (slice(first, last) for first, last in pairwise(edges) if last > first)


def decoded(dataset: DatasetReader, part: RasterPart) -> int:
    """Bytes of the pixels in all blocks that reading a part decodes, without padding beyond the raster."""
    sides = []
    for wanted, block, whole in zip(
        (part.rows, part.cols), dataset.block_shapes[0], (dataset.height, dataset.width), strict=True
    ):
        sides.append(min(whole, -(-wanted.stop // block) * block) - wanted.start // block * block)
    bands = dataset.count if interleaved_by_pixel(dataset) else part.bands.stop - part.bands.start
    return int(2 * bands * sides[0] * sides[1])


def interleaved_by_pixel(dataset: DatasetReader) -> bool:
    """Whether a block has all bands of its pixels."""
    return bool(dataset.count > 1 and dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL")


def _opened(path: Path) -> DatasetReader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path.absolute(), driver="GTiff")


def _check_size(dataset: DatasetReader, path: Path) -> None:
    """Refuse dimensions that no product has, before any memory is allocated."""
    height, width, count = dataset.height, dataset.width, dataset.count
    if max(height, width) > MAX_SIDE or count > MAX_BANDS or height * width * count > MAX_VALUES:
        raise BrokenRasterError(f"The raster claims {count} bands of {height} x {width} pixels.", path)
    block_height, block_width = dataset.block_shapes[0]
    if block_height > max(height, 1024) or block_width > max(width, 1024):
        raise BrokenRasterError(f"The raster claims blocks of {block_height} x {block_width} pixels.", path)


def _reason(error: BaseException, path: Path) -> str:
    """GDAL's message, which rasterio keeps in the cause of its exception, without folders and line breaks."""
    words = str(error.__cause__ or error).replace(f"{path.absolute().parent}/", "")
    return " ".join(words.split())[:300].rstrip(".")
