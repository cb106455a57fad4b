"""The R-tree over the locations, in two files that other R-tree tools can read: locations.idx and locations.dat.

Boxes are west, south, east, north in degrees; identifiers are rows of locations.parquet. A location that crosses
the antimeridian has one box on each side.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import rtree.index
from rtree.exceptions import RTreeError
from shapely.geometry.base import BaseGeometry

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.faults import unwritten
from spectralearth_build.layout import INDEX, INDEX_NAME, MANIFEST
from spectralearth_build.store.manifest import entry_of_file, listed

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east means across the antimeridian."""

_WORLD = (-180.0, -90.0, 180.0, 90.0)


def boxes(geometries: list[BaseGeometry]) -> list[tuple[int, Bounds]]:
    """Row and bounds of every part of every geometry, in order; empty geometries have none."""
    return [
        (row, part.bounds)
        for row, geometry in enumerate(geometries)
        for part in getattr(geometry, "geoms", [geometry])
        if not part.is_empty
    ]


def encode_index(items: list[tuple[int, Bounds]], scratch: Path | None = None) -> dict[str, bytes]:
    """The files of an index, by name; the same bytes for the same boxes.

    libspatialindex does not say when its files could not be written, so the index is asked for all its boxes.

    Args:
        items: what `boxes` returns.
        scratch: an existing folder where the files are written first; None: the system's.

    Raises:
        OutOfSpaceError: there is no room in ``scratch``.
        ArchiveError: the index does not hold what was put into it.
    """
    with TemporaryDirectory(dir=scratch) as folder:
        base = str(Path(folder) / INDEX_NAME)
        stream = ((row, bounds, None) for row, bounds in items)
        try:
            # An empty stream is refused, an empty index is not.
            rtree.index.Index(base, stream).close() if items else rtree.index.Index(base).close()
            files = {name: (Path(folder) / name).read_bytes() for name in INDEX}
            whole = _held(base) == sorted(items)
        except (RTreeError, FileNotFoundError) as error:
            raise unwritten(Path(folder)) from error
        if not whole:
            raise unwritten(Path(folder))
        return files


def contents(index: rtree.index.Index) -> list[tuple[int, Bounds]]:
    """All boxes of an index, sorted."""
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
    """Open the index of a dataset, on a copy: libspatialindex opens files for writing, even to read.

    Args:
        folder: the dataset.
        scratch: an existing folder for the copy; None: the system's.

    Raises:
        UsageError: there is none.
        DamagedError: it is not what the manifest says; libspatialindex would crash on some of such.
        OSError: there is no room for the copy.
    """
    missing = [name for name in INDEX if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"There is no {missing[0]}.", folder, "Run `cut`, or `build`, first.")
    with TemporaryDirectory(dir=scratch) as copy:
        for name in INDEX:
            shutil.copyfile(folder / name, Path(copy) / name)
            if listed(folder, name) not in (None, entry_of_file(Path(copy) / name)):
                raise DamagedError(f"It is not what {MANIFEST} says.", folder / name)
        index = rtree.index.Index(str(Path(copy) / INDEX_NAME))
        try:
            yield index
        finally:
            index.close()


def search(index: rtree.index.Index, bounds: Bounds) -> npt.NDArray[np.int64]:
    """Rows whose boxes meet ``bounds``, ascending, each once."""
    west, south, east, north = bounds
    halves = [bounds] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
    found = [row for half in halves for row in index.intersection(half)]
    return np.unique(np.array(found, dtype=np.int64))


def query_index(folder: Path, bounds: Bounds) -> npt.NDArray[np.int64]:
    """Rows of locations.parquet whose bounding boxes meet ``bounds``, ascending.

    Args:
        folder: the dataset.
        bounds: west, south, east, north in degrees; west > east searches across the antimeridian.

    Raises:
        UsageError: the dataset has no index.
        DamagedError: it is damaged.
        OSError: there is no room for a copy of it.
    """
    with opened_index(folder) as index:
        return search(index, bounds)
