"""Reading of rows of shards that have one of our codecs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spectralearth_build.errors import DamagedError
from spectralearth_build.reading.array_layout import ArrayLayout
from spectralearth_build.reading.byte_source import ByteSource
from spectralearth_build.store.codec import CHECKSUM_BYTES, NODATA, PATCH_BYTES, Patch, decode_into, verified
from spectralearth_build.store.shard import ABSENT, Index

T = TypeVar("T")

INDEX_BYTES = 64 << 20
"""Memory for shard indices. It holds the indices of four million rows."""
Place = tuple[int, int]
"""First byte and length of an encoded patch."""


class ShardedReader:
    """A reader of stores with one of our codecs, made by `open_reader`.

    Files stay open and indices stay in memory, up to a limit. Each thread reads encoded bytes into its own buffer.
    """

    def __init__(self, array: str | Path, source: ByteSource, layout: ArrayLayout) -> None:
        assert layout.codec is not None
        self.array, self.layout, self.remote = array, layout, source.remote
        self._source, self._codec = source, layout.codec
        size = index_length(layout)
        self._index = lru_cache(maxsize=kept_indices(layout))(
            lambda name: parsed_index(*source.tail(name, size), size)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        from spectralearth_build.reading.reader import open_reader

        return open_reader, (self.array,)

    def request(self, row: int) -> Any:  # noqa: ANN401
        """See `Reader.request`; the operating system reads files ahead."""
        return None

    def read_into(self, row: int, out: Patch, request: Any = None) -> bool:  # noqa: ANN401
        """See `Reader.read_into`."""
        data = self.encoded(row)
        if data is None:
            out[...] = NODATA
            return False
        self.naming(row, partial(decode_into, data, out, self._codec))
        return True

    def encoded(self, row: int) -> memoryview | None:
        """Return the encoded patch, unchecked and valid until this thread reads again; None if it does not exist."""
        name, inside = self.shard_and_place(row)
        try:
            place = self.naming(row, lambda: place_in(self._index(name), inside))
        except FileNotFoundError:
            return None
        return None if place is None else self._source.fetch(name, *place)

    def shard_of(self, row: int) -> str:
        """See `Reader.shard_of`."""
        return self._source.where(self.layout.pattern.format(row // self.layout.shard_rows))

    def shard_and_place(self, row: int) -> tuple[str, int]:
        """Return the file of a row and its row there.

        Raises:
            IndexError: The array has no such row.
        """
        if not 0 <= row < self.layout.rows:
            raise IndexError(f"Row {row} of an array of {self.layout.rows} rows.")
        shard, inside = divmod(row, self.layout.shard_rows)
        return self.layout.pattern.format(shard), inside

    def naming(self, row: int, action: Callable[[], T]) -> T:
        """Return the result of an action; its damage names row and shard."""
        try:
            return action()
        except DamagedError as error:
            raise DamagedError(f"Row {row}: {error.what}", self.shard_of(row), error.remedy) from error


def index_length(layout: ArrayLayout) -> int:
    """Return the length of the index at the end of each shard, in bytes."""
    return 16 * layout.shard_rows + CHECKSUM_BYTES


def kept_indices(layout: ArrayLayout) -> int:
    """Return the number of indices to keep in memory."""
    return max(1, INDEX_BYTES // index_length(layout))


def parsed_index(tail: memoryview, size: int, length: int) -> Index:
    """Return the index of a shard.

    Args:
        tail: the last ``length`` bytes of the shard, or all if there are fewer.
        size: size of the shard in bytes.
        length: length of the index.

    Raises:
        DamagedError: It is damaged.
    """
    if len(tail) < length:
        raise DamagedError(f"The shard has {size} bytes, fewer than its index.")
    index: Index = np.frombuffer(verified(tail), "<u8").reshape(-1, 2)
    present = index[index[:, 0] != ABSENT]
    # Compared separately, since the sum of invalid numbers could overflow.
    if (present > size).any() or (present.sum(axis=1) > size - length).any():
        raise DamagedError("The index of the shard points beyond its end.")
    return index


def place_in(index: Index, inside: int) -> Place | None:
    """Return where in its shard a patch is; None if it does not exist.

    Raises:
        DamagedError: The index is impossible.
    """
    start, length = (int(value) for value in index[inside])
    if start == ABSENT:
        return None
    if not CHECKSUM_BYTES < length <= 2 * PATCH_BYTES:
        raise DamagedError(f"A patch cannot be {length} bytes long.")
    return start, length
