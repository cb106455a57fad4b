"""Decode the parts of one tile that patches need, or all of it, and judge its pixels if scan has not done so."""

from __future__ import annotations

import threading
import zlib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from spectralearth_build import mask as masks
from spectralearth_build.archive.disk import read_ahead
from spectralearth_build.archive.identity import (
    ContentGuard,
    decode,
    require_content,
    require_place,
    with_mask,
)
from spectralearth_build.archive.names import IMAGE
from spectralearth_build.archive.product import WANTED, open_product
from spectralearth_build.archive.raster import RasterPart, SharedRaster, chunks, decoded, read_part
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.cutting import memory
from spectralearth_build.cutting.compose import Flags, TilePixels
from spectralearth_build.cutting.judge import Judge
from spectralearth_build.errors import ContentChangedError, MissingFileError, NoValidPixelError, ProductError
from spectralearth_build.layout import SCRATCH
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.store.planned_tiles import SourceTile


class TileReader:
    """Decodes the parts of one tile that patches need. Parts may be read in any order and by several threads.

    The product is compared with the one that scan read, before decoding and after it.

    Args:
        archive: folder of the products.
        dataset: folder of the dataset, with the masks.
        source: the tile.
        box: area to read.
        whole: whether to decode the whole tile and to judge its pixels, if scan has not done so.
        unpack_cache: cache of unpacked archives that tasks share.

    Raises:
        ContentChangedError: The product differs from the one that scan read.
        ProductError: Any other error of the product, with its path below the archive.
    """

    def __init__(
        self,
        archive: Path,
        dataset: Path,
        source: SourceTile,
        box: Box,
        whole: bool,
        unpack_cache: UnpackCache | None,
    ) -> None:
        self._source = source
        self._open = ExitStack()
        self._index = np.array(source.band_index, np.int32)
        self._guard: ContentGuard | None = None
        self._judge: Judge | None = None
        self._origin = box.line - source.box.line, box.col - source.box.col
        self._errors: dict[int, ProductError] = {}
        self._unread: set[int] = set()
        self._corrected: masks.Mask | None = None
        self._lock, self._finished = threading.Lock(), threading.Event()
        try:
            self._mask = _mask(dataset, source.mask)
            judging = whole and bool(source.exact)
            with self._own_path():
                layers = WANTED if source.content or judging else (IMAGE,)
                product = self._open.enter_context(
                    open_product(archive, source.path, dataset / SCRATCH, layers, unpack_cache)
                )
                self._path = product.image_path
                read_ahead(self._path)
                self._raster = SharedRaster(self._path)
                self._open.callback(self._raster.close)
                with self._raster.opened() as image:
                    require_place(image, source.epsg, source.box, source.path)
                    area = source.box if judging else box
                    self.parts, self.decoded, self.size = self._plan(image, area)
                    if judging:
                        self._judge = Judge(product, image, self._index, source)
                if source.content:
                    self._guard = ContentGuard(product)
                    now = with_mask(self._guard.content, self._mask)
                    require_content(decode(source.content), now, source.path)
            lost = None if judging or not source.exact else self._lost(_exact(dataset, source), box)
        except BaseException:
            self.close()
            raise
        values = memory.take((len(self._index), box.height, box.width))
        self._pixels = TilePixels(source.epsg, box, values, _valid(self._mask)[box.slices(source.box)], lost)
        self._unread.update(range(len(self.parts)))
        self._undecoded = len(self.parts)

    def read(self, number: int) -> None:
        """Decode one part, once.

        Raises:
            ProductError: The part cannot be decoded.
        """
        try:
            with self._own_path(), self._raster.opened() as dataset:
                self._decode(dataset, self.parts[number])
            with self._lock:
                self._undecoded -= 1
                last = self._undecoded == 0
            if last:
                self._require_same()
                self._conclude()
        except ProductError as error:
            self._errors[number] = self._cause(error)
            raise self._errors[number] from error
        finally:
            with self._lock:
                self._unread.discard(number)
                if not self._unread:
                    self.close()

    def pixels(self) -> TilePixels:
        """Return all pixels. Waits until every part is read.

        Raises:
            ProductError: The error of the first part that cannot be decoded.
        """
        self._finished.wait()
        if self._errors:
            raise self._errors[min(self._errors)]
        return self._pixels

    def close(self) -> None:
        """Close the product, and release its unpacked files."""
        self._finished.set()
        self._open.close()

    def give_back(self) -> None:
        """Close the product, and give back the memory of the pixels, which nobody may use any more."""
        self.close()
        memory.give_back(self._pixels.values)

    @property
    def corrected(self) -> masks.Mask | None:
        """The mask [line, col] without the pixels that turned out to be lost; None if it is that of scan."""
        return self._corrected

    def _decode(self, dataset: DatasetReader, part: RasterPart) -> None:
        """Decode one part into its position."""
        if self._judge is None:
            read_part(dataset, self._index, part, self._pixels.values, self._origin)
        else:
            self._judge.read(dataset, part, self._pixels.values, self._pixels.box)

    def _conclude(self) -> None:
        """Set which pixels are lost, once all are decoded.

        Raises:
            NoValidPixelError, HoleError: None can be used.
        """
        if self._judge is None:
            return
        with self._own_path(), self._raster.opened() as image:
            usable = self._judge.usable(image, self._source.path)
        exact = np.where(usable, self._mask, 0).astype(np.uint8)
        if not exact.any():
            raise NoValidPixelError("No pixel has data in every kept band.", self._source.path)
        if (exact != self._mask).any():
            self._corrected = exact
        self._pixels = replace(self._pixels, lost=self._lost(exact, self._pixels.box))

    def _lost(self, exact: masks.Mask | None, box: Box) -> Flags:
        """Pixels of a box that scan's mask has and the exact mask has not; none if there is no exact mask."""
        where = box.slices(self._source.box)
        if exact is None:
            return np.zeros((box.height, box.width), bool)
        return _valid(self._mask)[where] & ~_valid(exact)[where]

    def _plan(self, image: DatasetReader, box: Box) -> tuple[list[RasterPart], int, int]:
        """Return the parts that cover a box, the bytes that they decode to, and the bytes of the whole tile."""
        parts = list(chunks(image, len(self._index), *box.slices(self._source.box)))
        size = 2 * image.count * image.height * image.width
        return parts, sum(decoded(image, part) for part in parts), size

    def _require_same(self) -> None:
        """Compare the product again with the one that scan read."""
        if self._guard is not None:
            with self._own_path():
                self._guard.require_same()

    def _cause(self, error: ProductError) -> ProductError:
        """Return why a part cannot be decoded: its own error, or that the product was replaced meanwhile."""
        try:
            self._require_same()
        except ContentChangedError as changed:
            return changed
        except ProductError:
            pass
        return error

    def _own_path(self) -> _OwnPath:
        return _OwnPath(self._source.path)


class _OwnPath:
    """Reports errors with the path below the archive: absolute paths differ between machines, but tables must not."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ProductError):
            raise type(error)(error.what, self._path, error.remedy) from error


def _valid(mask: masks.Mask) -> Flags:
    return np.asarray(mask & masks.VALID, dtype=bool)


def _exact(dataset: Path, source: SourceTile) -> masks.Mask | None:
    """Load the mask of a tile that cut has corrected [line, col]; None if there is none."""
    return _mask(dataset, source.exact) if (dataset / source.exact).is_file() else None


def _mask(dataset: Path, name: str) -> masks.Mask:
    """Load a mask of a tile [line, col]."""
    try:
        return masks.load(dataset / name)
    except (OSError, ValueError, zlib.error) as error:
        what = "The tile's mask is missing from the dataset's work folder, or damaged."
        raise MissingFileError(what, name, "Delete it, if it is there, and run `scan` again.") from error
