"""The R-tree of the locations, in two files that other R-tree tools can read: locations.idx and locations.dat.

Boxes are west, south, east, north in degrees; identifiers are rows of locations.parquet. A location that crosses
the antimeridian has one box on each side.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import rtree.index
from rtree.exceptions import RTreeError
from shapely.geometry.base import BaseGeometry

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.faults import unwritten
from spectralearth_build.layout import INDEX, INDEX_NAME, MANIFEST
from spectralearth_build.store.manifest import entry_of_file, listed

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east means that it crosses the antimeridian."""

_WORLD = (-180.0, -90.0, 180.0, 90.0)


def boxes(geometries: list[BaseGeometry]) -> list[tuple[int, Bounds]]:
    """Return row and bounds of every part of every geometry, in order. Empty geometries have none."""
    return [
        (row, part.bounds)
        for row, geometry in enumerate(geometries)
        for part in getattr(geometry, "geoms", [geometry])
        if not part.is_empty
    ]


def encode_index(items: list[tuple[int, Bounds]], scratch: Path | None = None) -> dict[str, bytes]:
    """Return the files of an index, by name. The same boxes give the same bytes.

    libspatialindex does not report failed writes, so all boxes are read back from the index.

    Args:
        items: output of `boxes`.
        scratch: existing folder in which the files are written first; None: the system's temporary folder.

    Raises:
        OutOfSpaceError: ``scratch`` has no space.
        ArchiveError: The index does not contain what was written to it.
    """
    with TemporaryDirectory(dir=scratch) as folder:
        base = str(Path(folder) / INDEX_NAME)
        stream = ((row, bounds, None) for row, bounds in items)
        try:
            # libspatialindex refuses an empty stream, but not an empty index.
            rtree.index.Index(base, stream).close() if items else rtree.index.Index(base).close()
            files = {name: (Path(folder) / name).read_bytes() for name in INDEX}
            whole = _held(base) == sorted(items)
        except (RTreeError, FileNotFoundError) as error:
            raise unwritten(Path(folder)) from error
        if not whole:
            raise unwritten(Path(folder))
        return files


def contents(index: rtree.index.Index) -> list[tuple[int, Bounds]]:
    """Return all boxes of an index, sorted."""
    boxes_of = ((item.id, item.bbox) for item in index.intersection(_WORLD, objects=True))
    return sorted((row, (west, south, east, north)) for row, (west, south, east, north) in boxes_of)


def _held(base: str) -> list[tuple[int, Bounds]]:
    index = rtree.index.Index(base)
    try:
        return contents(index)
    finally:
        index.close()


@contextmanager
def opened_index(folder: Path, scratch: Path | None = None) -> Iterator[rtree.index.Index]:
    """Open a copy of the index of a dataset, because libspatialindex opens files for writing even to read them.

    Args:
        folder: folder of the dataset.
        scratch: existing folder for the copy; None: the system's temporary folder.

    Raises:
        UsageError: There is no index.
        DamagedError: The index differs from the manifest. libspatialindex crashes on some damaged files.
        OSError: There is no space for the copy.
    """
    missing = [name for name in INDEX if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"The dataset has no {missing[0]}.", folder, "Run `build ARCHIVE DATASET` first.")
    with TemporaryDirectory(dir=scratch) as copy:
        for name in INDEX:
            shutil.copyfile(folder / name, Path(copy) / name)
            if listed(folder, name) not in (None, entry_of_file(Path(copy) / name)):
                raise DamagedError(f"The file differs from what {MANIFEST} says.", folder / name)
        index = rtree.index.Index(str(Path(copy) / INDEX_NAME))
        try:
            yield index
        finally:
            index.close()
