"""Shard files in zarr's ``sharding_indexed`` format, written as a stream and read by row.

A file contains the encoded patches and, at its end, an index: offset and length of each row as little-endian uint64
(all ones for a row that does not exist), then the crc32c of the index. Only one encoded patch is in memory at a time,
whatever the size of the shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import DamagedError
from spectralearth_build.files import replacing
from spectralearth_build.storage import attach
from spectralearth_build.store.codec import CHECKSUM_BYTES, Patch, checksum, decode_patch, verified

P = ParamSpec("P")
R = TypeVar("R")

ABSENT = np.uint64(2**64 - 1)
Index = npt.NDArray[np.uint64]
"""uint64 [rows, 2]: offset and length of each row."""


@dataclass(frozen=True)
class Written:
    """Size and hash of a shard file, for its commit record."""

    size: int
    """Size in bytes."""
    sha256: str
    """SHA-256 of the file."""


class ShardWriter:
    """Appends encoded patches to a shard file; see `shard_writer`."""

    def __init__(self, file: BinaryIO, rows: int) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self._index = np.full((rows, 2), ABSENT, dtype="<u8")
        self._offset, self._last = 0, -1

    def add(self, row: int, data: bytes) -> None:
        """Write an encoded patch.

        Args:
            row: row inside the shard, above those that were added before.
            data: the encoded patch.

        Raises:
            ValueError: the row is out of range or not ascending.
        """
        if not self._last < row < len(self._index):
            raise ValueError(f"Row {row} after row {self._last} in a shard of {len(self._index)} rows.")
        self._index[row] = self._offset, len(data)
        self._append(data)
        self._last = row

    def finish(self) -> None:
        """Write the index."""
        index = self._index.tobytes()
        self._append(index + checksum(index))

    @property
    def written(self) -> Written:
        """Size and hash of the file so far."""
        return Written(self._offset, self._digest.hexdigest())

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._offset += len(data)


@contextmanager
def shard_writer(path: Path, rows: int) -> Iterator[ShardWriter]:
    """Write a shard atomically. The same patches give the same bytes. Afterwards ``written`` says what the file is.

    Args:
        path: path of the file.
        rows: number of rows of the shard, written or not.

    Raises:
        OutOfSpaceError: The disk is full. Nothing remains of the shard.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        writer = ShardWriter(file, rows)
        yield writer
        writer.finish()


def write_shard(path: Path, rows: int, patches: Iterable[tuple[int, bytes]]) -> Written:
    """Write a shard of patches that need no record of their own; see `shard_writer`.

    Args:
        path: path of the file.
        rows: number of rows of the shard, written or not.
        patches: pairs of row inside the shard (ascending) and encoded patch.

    Raises:
        OutOfSpaceError: The disk is full. Nothing remains of the shard.
        ValueError: Rows are out of range or not ascending.
    """
    with shard_writer(path, rows) as writer:
        for row, data in patches:
            writer.add(row, data)
    return writer.written


class ShardReader:
    """Random access to the rows of one shard file.

    Args:
        path: path of the file.
        rows: number of rows of the shard.

    Raises:
        DamagedError: The file is missing or truncated, or its index is damaged.
    """

    def __init__(self, path: Path, rows: int) -> None:
        attach.present(path)
        self.path = path
        size = 16 * rows + CHECKSUM_BYTES
        try:
            with path.open("rb") as file:
                end = file.seek(0, 2)
                file.seek(max(0, end - size))
                tail = file.read(size)
        except OSError as error:
            raise DamagedError("The shard cannot be read.", path) from error
        if len(tail) < size:
            raise DamagedError(f"The shard has {end} bytes, fewer than its index.", path)
        self.index: Index = np.frombuffer(_located(path, verified, tail), dtype="<u8").reshape(rows, 2)
        present = self.index[self.index[:, 0] != ABSENT]
        if (present > end).any() or (present.sum(axis=1) > end - size).any():
            raise DamagedError("The index of the shard points beyond its end.", path)

    def rows(self) -> list[int]:
        """Return the existing rows."""
        return [int(row) for row in np.flatnonzero(self.index[:, 0] != ABSENT)]

    def encoded(self, row: int) -> bytes | None:
        """Return the encoded patch of a row, unchecked; None if the row does not exist."""
        offset, length = (int(value) for value in self.index[row])
        if offset == ABSENT:
            return None
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def patch(self, row: int, codec: str) -> Patch | None:
        """Return the patch of a row, int16 [202, 128, 128]; None if the row does not exist.

        Raises:
            DamagedError: Its checksum or content is wrong.
        """
        data = self.encoded(row)
        return None if data is None else _located(self.path, decode_patch, data, codec)


def _located(path: Path, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function``, and add the path of the file to its errors."""
    try:
        return function(*args, **kwargs)
    except DamagedError as error:
        raise DamagedError(error.what, path) from error
