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
from shapely.geometry.base import BaseGeometry

from spectralearth_build.errors import UsageError

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east means across the antimeridian."""

NAME = "locations"
FILES = (f"{NAME}.idx", f"{NAME}.dat")


def boxes(geometries: list[BaseGeometry]) -> list[tuple[int, Bounds]]:
    """Row and bounds of every part of every geometry, in order; empty geometries have none."""
    return [
        (row, part.bounds)
        for row, geometry in enumerate(geometries)
        for part in getattr(geometry, "geoms", [geometry])
        if not part.is_empty
    ]


def encode_index(items: list[tuple[int, Bounds]]) -> dict[str, bytes]:
    """The files of an index, by name; the same bytes for the same boxes.

    Args:
        items: what `boxes` returns.
    """
    with TemporaryDirectory() as folder:
        base = str(Path(folder) / NAME)
        stream = ((row, bounds, None) for row, bounds in items)
        # An empty stream is refused, an empty index is not.
        rtree.index.Index(base, stream).close() if items else rtree.index.Index(base).close()
        return {name: (Path(folder) / name).read_bytes() for name in FILES}


@contextmanager
def opened_index(folder: Path) -> Iterator[rtree.index.Index]:
    """Open the index of a dataset, on a copy: libspatialindex opens files for writing, even to read.

    Raises:
        UsageError: there is none.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"There is no {missing[0]}.", folder, "Run `cut`, or `build`, first.")
    with TemporaryDirectory() as copy:
        for name in FILES:
            shutil.copyfile(folder / name, Path(copy) / name)
        index = rtree.index.Index(str(Path(copy) / NAME))
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
    """
    with opened_index(folder) as index:
        return search(index, bounds)
