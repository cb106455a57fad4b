"""Reading of the source tiles of a task. Each is opened once and decoded part by part, each part once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build import mask as masks
from spectralearth_build.cutting.compose import TilePixels
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.cutting.tile_reader import TileReader
from spectralearth_build.errors import (
    ProductError,
    error_named,
)
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.resample import source_grid, support
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


class SourceCache:
    """The readers of a task's tiles, opened on first use. A context manager that closes all of them.

    After that, nobody may use their pixels. Calling it with a tile id returns the pixels of the tile, which are read if
    necessary.

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
        self._kept: set[str] = set()

    def __enter__(self) -> SourceCache:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._found.values():
            if isinstance(reader, TileReader):
                reader.give_back()

    def reader(self, tile_id: str) -> TileReader:
        """Return the reader of a tile.

        Raises:
            ProductError: The tile cannot be opened, now or at the first try.
        """
        if tile_id not in self._found:
            try:
                if kind := self._task.refused.get(tile_id):
                    raise error_named(kind)("The product is damaged.", self._task.sources[tile_id].path)
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

    def keep_corrected(self) -> None:
        """Save the masks that were corrected, before anything that depends on them is committed."""
        for tile_id, reader in self._found.items():
            if isinstance(reader, TileReader) and reader.corrected is not None and tile_id not in self._kept:
                masks.save(self._dataset / self._task.sources[tile_id].exact, reader.corrected)
                self._kept.add(tile_id)

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
        return TileReader(
            self._archive,
            self._dataset,
            source,
            box,
            whole=tile_id in self._task.whole,
            unpack_cache=self._task.unpack_cache,
        )


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
