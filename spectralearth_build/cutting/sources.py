"""Reading of the source tiles of a task. Each is opened once and decoded part by part, each part once."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
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
from spectralearth_build.archive.raster import RasterPart, chunks, decoded, open_raster, read_part
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.cutting.compose import TilePixels
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.errors import ContentChangedError, MissingFileError, ProductError
from spectralearth_build.layout import SCRATCH
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.resample import source_grid, support
from spectralearth_build.store.codec import Patch
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.planned_tiles import SourceTile


@dataclass(frozen=True)
class Decoded:
    """Bytes of source pixels: how many were decoded, and how many there are."""

    own: int = 0
    """Bytes decoded from the tiles that were cut."""
    neighbours: int = 0
    """Bytes decoded from their neighbours, for windows that reach into them."""
    tiles: int = 0
    """Total bytes of the tiles that were cut: all bands of all pixels."""

    def __add__(self, other: Decoded) -> Decoded:
        return Decoded(self.own + other.own, self.neighbours + other.neighbours, self.tiles + other.tiles)


class TileReader:
    """Decodes the parts of one tile that patches need. Parts may be read in any order and by several threads.

    The product is compared with the one that scan read, before decoding and after it.

    Args:
        archive: folder of the products.
        dataset: folder of the dataset, with the masks.
        source: the tile.
        box: area to read.
        unpack_cache: cache of unpacked archives that tasks share.

    Raises:
        ContentChangedError: The product differs from the one that scan read.
        ProductError: Any other error of the product, with its path below the archive.
    """

    def __init__(
        self, archive: Path, dataset: Path, source: SourceTile, box: Box, unpack_cache: UnpackCache | None
    ) -> None:
        self._source = source
        self._open = ExitStack()
        self._index = np.array(source.band_index, np.int32)
        self._guard: ContentGuard | None = None
        self._origin = box.line - source.box.line, box.col - source.box.col
        self._errors: dict[int, ProductError] = {}
        self._unread: set[int] = set()
        self._lock, self._finished = threading.Lock(), threading.Event()
        try:
            mask = _mask(dataset, source)
            with self._own_path():
                layers = WANTED if source.content else (IMAGE,)
                product = self._open.enter_context(
                    open_product(archive, source.path, dataset / SCRATCH, layers, unpack_cache)
                )
                self._path = product.image_path
                read_ahead(self._path)
                with open_raster(self._path) as image:
                    require_place(image, source.epsg, source.box, source.path)
                    self.parts, self.decoded, self.size = self._plan(image, box)
                if source.content:
                    self._guard = ContentGuard(product)
                    now = with_mask(self._guard.content, mask)
                    require_content(decode(source.content), now, source.path)
            valid = np.asarray(mask & masks.VALID, dtype=bool)[box.slices(source.box)]
        except BaseException:
            self.close()
            raise
        values: Patch = np.empty((len(self._index), box.height, box.width), np.int16)
        self._pixels = TilePixels(source.epsg, box, values, valid)
        self._unread.update(range(len(self.parts)))
        self._undecoded = len(self.parts)

    def read(self, number: int) -> None:
        """Decode one part, once.

        Raises:
            ProductError: The part cannot be decoded.
        """
        try:
            with self._own_path(), open_raster(self._path) as dataset:
                read_part(dataset, self._index, self.parts[number], self._pixels.values, self._origin)
            with self._lock:
                self._undecoded -= 1
                last = self._undecoded == 0
            if last:
                self._require_same()
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


class SourceCache:
    """The readers of a task's tiles, opened on first use. A context manager that closes all of them.

    Calling it with a tile id returns the pixels of the tile, which are read if necessary.

    Args:
        archive: folder of the products.
        dataset: folder of the dataset.
        task: the task.
        patches: the patches to cut.
    """

    def __init__(self, archive: Path, dataset: Path, task: TileTask, patches: list[PlannedPatch]) -> None:
        self._archive, self._dataset = archive, dataset
        self._task = task
        self._patches = patches
        self._found: dict[str, TileReader | ProductError] = {}

    def __enter__(self) -> SourceCache:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._found.values():
            if isinstance(reader, TileReader):
                reader.close()

    def reader(self, tile_id: str) -> TileReader:
        """Return the reader of a tile.

        Raises:
            ProductError: The tile cannot be opened, now or at the first try.
        """
        if tile_id not in self._found:
            try:
                self._found[tile_id] = self._opened(tile_id)
            except ProductError as error:
                self._found[tile_id] = error
        found = self._found[tile_id]
        if isinstance(found, ProductError):
            raise found
        return found

    def __contains__(self, tile_id: str) -> bool:
        return tile_id in self._found

    def __call__(self, tile_id: str) -> TilePixels:
        """Return the pixels of a tile.

        Raises:
            ProductError: The tile cannot be read, now or at the first try.
        """
        new = tile_id not in self
        reader = self.reader(tile_id)
        if new:
            for number in range(len(reader.parts)):
                reader.read(number)
        return reader.pixels()

    @property
    def decoded(self) -> Decoded:
        """Return the total bytes decoded by all opened readers."""
        readers = {name: r for name, r in self._found.items() if isinstance(r, TileReader)}
        own = readers.pop(self._task.tile_id, None)
        others = sum(reader.decoded for reader in readers.values())
        return Decoded(own.decoded, others, own.size) if own else Decoded(0, others, 0)

    def _opened(self, tile_id: str) -> TileReader:
        source = self._task.sources[tile_id]
        box = area_needed(self._patches, source)
        if box is None:
            raise ValueError(
                f"No patch of {self._task.tile_id} reaches into {tile_id}, although the plan says so."
            )
        return TileReader(self._archive, self._dataset, source, box, self._task.unpack_cache)


def needed(patch: PlannedPatch, source: SourceTile) -> Box | None:
    """Return the box of a source raster that can provide pixels of a patch."""
    if source.epsg == patch.epsg:
        return patch.window.intersection(source.box)
    return support(*source_grid(patch.window, patch.epsg, source.epsg)).intersection(source.box)


def area_needed(patches: Iterable[PlannedPatch], source: SourceTile) -> Box | None:
    """Return the smallest box of a source raster with all pixels that any of the patches can use."""
    boxes = [box for patch in patches if source.tile_id in patch.sources and (box := needed(patch, source))]
    if not boxes:
        return None
    line, col = min(box.line for box in boxes), min(box.col for box in boxes)
    height = max(box.stop_line for box in boxes) - line
    return Box(line, col, height, max(box.stop_col for box in boxes) - col)


def _mask(dataset: Path, source: SourceTile) -> masks.Mask:
    """Load the mask of a tile [line, col]."""
    try:
        return masks.load(dataset / source.mask)
    except (OSError, ValueError, zlib.error) as error:
        what = "The tile's mask is missing from the dataset's work folder, or damaged."
        raise MissingFileError(
            what, source.mask, "Delete it, if it is there, and run `scan` again."
        ) from error
