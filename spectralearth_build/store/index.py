"""The R-tree of the locations, in two files that other R-tree tools can read: locations.idx and locations.dat.

Boxes are west, south, east, north in degrees; identifiers are rows of locations.parquet. A location that crosses
the antimeridian has one box on each side.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rtree.index
import shapely
from rtree.exceptions import RTreeError

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.faults import fault_of, unwritten
from spectralearth_build.layout import INDEX, INDEX_NAME, MANIFEST
from spectralearth_build.store.index_file import read_entries, sorted_boxes
from spectralearth_build.store.manifest import entry_of_file, listed

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east means that it crosses the antimeridian."""
Boxes = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Rows of locations.parquet, int64 [box], and boxes, float64 [box, (west, south, east, north)]."""


_TOGETHER = 1 << 21
"""Locations whose boxes are compared before the files are read again for the next ones."""


def boxes(geometries: Iterable[Sequence[bytes | None] | pa.Array]) -> Iterator[Boxes]:
    """Yield row and bounds of every part of every geometry, in order. Empty geometries have none.

    Args:
        geometries: the column ``geometry``, as WKB, in any number of pieces.
    """
    first = 0
    for piece in geometries:
        shapes = shapely.from_wkb(np.asarray(piece, object))
        parts, owners = shapely.get_parts(shapes, return_index=True)
        there = ~shapely.is_empty(parts)
        yield owners[there].astype(np.int64) + first, shapely.bounds(parts[there])
        first += len(piece)


def write_index(folder: Path, read: Callable[[], Iterable[Boxes]]) -> None:
    """Write the files of an index. The same boxes give the same bytes.

    libspatialindex does not report failed writes, so all boxes are read back from the files.

    Args:
        folder: existing folder.
        read: returns the boxes of `boxes`, once for writing and once for comparing.

    Raises:
        OutOfSpaceError: ``folder`` has no space.
        ArchiveError: The index does not contain what was written to it.
    """
    base = str(folder / INDEX_NAME)
    try:
        with closing(_items(read())) as stream:
            first = next(stream, None)
            _require_files(folder)
            if first is None:  # libspatialindex refuses an empty stream, but not an empty index
                rtree.index.Index(base).close()
            else:
                rtree.index.Index(base, chain([first], stream)).close()
        whole = holds(folder, read())
    except (RTreeError, FileNotFoundError, ValueError) as error:
        raise unwritten(folder) from error
    except OSError as error:
        raise (fault_of(error, folder) or error) from error
    if not whole:
        raise unwritten(folder)


def _require_files(folder: Path) -> None:
    """Check that both files can be made: libspatialindex does not say why not.

    Raises:
        OSError: They cannot.
    """
    with ExitStack() as both:
        for name in INDEX:
            both.enter_context((folder / name).open("wb"))
    for name in INDEX:
        (folder / name).unlink()


def encode_index(pieces: Iterable[Boxes], scratch: Path | None = None) -> dict[str, bytes]:
    """Return the files of a small index, by name.

    Args:
        pieces: output of `boxes`.
        scratch: existing folder in which the files are written first; None: the system's temporary folder.

    Raises:
        OutOfSpaceError: ``scratch`` has no space.
        ArchiveError: The index does not contain what was written to it.
    """
    with TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        held = list(pieces)
        write_index(Path(folder), lambda: held)
        return {name: (Path(folder) / name).read_bytes() for name in INDEX}


def holds(folder: Path, pieces: Iterable[Boxes]) -> bool:
    """Return whether the index in a folder contains exactly these boxes.

    Args:
        folder: folder of the two files.
        pieces: output of `boxes`. The rows of a piece are ascending, and larger than those of the piece before.

    Raises:
        OSError: A file cannot be read.
        ValueError: The files are not a whole index.
    """
    rows, bounds, count = read_entries(folder, 0, 0)
    stop = done = 0
    for piece in pieces:
        if not len(piece[0]):
            continue
        first, last = int(piece[0][0]), int(piece[0][-1])
        if last >= stop:
            stop = max(last + 1, first + _TOGETHER)
            rows, bounds, _ = read_entries(folder, first, stop)
        some = slice(*np.searchsorted(rows, [first, last + 1]))
        pairs = zip(sorted_boxes(rows[some], bounds[some]), sorted_boxes(*piece), strict=True)
        if not all(np.array_equal(held, expected) for held, expected in pairs):
            return False
        done += len(piece[0])
    return done == count


def _items(pieces: Iterable[Boxes]) -> Generator[tuple[int, list[float], None]]:
    for rows, bounds in pieces:
        for row, box in zip(rows.tolist(), bounds.tolist(), strict=True):
            yield row, box, None


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
    with TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as copy:
        for name in INDEX:
            shutil.copyfile(folder / name, Path(copy) / name)
            if listed(folder, name) not in (None, entry_of_file(Path(copy) / name)):
                raise DamagedError(f"The file differs from what {MANIFEST} says.", folder / name)
        index = rtree.index.Index(str(Path(copy) / INDEX_NAME))
        try:
            yield index
        finally:
            index.close()
