"""Random patches straight out of shards: one positioned read, one decode into the caller's array, no copy between."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import BuildError, DamagedError, UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.layout import ZARR
from spectralearth_build.loader.array_layout import ArrayLayout, layout_of
from spectralearth_build.loader.byte_source import ByteSource, FileSource, ObjectSource, source_of
from spectralearth_build.store.codec import (
    CHECKSUM_BYTES,
    NODATA,
    PATCH_BYTES,
    Patch,
    decode_into,
    verified,
)
from spectralearth_build.store.shard import ABSENT, Index

if TYPE_CHECKING:
    import zarr

INDEX_BYTES = 64 << 20
"""Memory for indices of shards; it holds those of four million rows."""


class Reader(Protocol):
    """Rows of an array [row, band, y, x] of patches. Threads may share it; it can be pickled."""

    layout: ArrayLayout
    remote: bool
    """Whether reading waits for a network."""

    def read_into(self, row: int, out: Patch) -> bool:
        """Read one patch.

        Args:
            row: its row in the store.
            out: int16 [band, y, x], C-contiguous, for the pixels; nodata if there is no such patch.

        Returns:
            Whether there is one.

        Raises:
            DamagedError: it is there but cannot be read; the message names row and shard.
            IndexError: the array has no such row.
        """

    def shard_of(self, row: int) -> str:
        """The file or URL that holds a row, for messages."""


def open_reader(array: str | Path) -> Reader:
    """Open the array of patches of a store.

    Args:
        array: folder or URL of the array, ``my-dataset/store.zarr/reflectance``.

    Returns:
        A `ShardedReader` where the codec is one of our presets, a `ZarrReader` otherwise.

    Raises:
        UsageError: there is not even a store.
        DamagedError: there is no such array, or its metadata cannot be understood.
    """
    source = source_of(array)
    where = source.where(ZARR)
    try:
        document = json.loads(source.whole(ZARR))
    except FileNotFoundError:
        store = source.folder.parent if isinstance(source, FileSource) else None
        if store is not None and not store.is_dir():
            remedy = "Check its name, and that what belongs there is mounted."
            raise UsageError("There is no such folder.", store, remedy) from None
        raise DamagedError("There is no array.", where) from None
    except (ValueError, RecursionError) as error:
        if isinstance(source, ObjectSource):
            source.client.require_sense()
        raise DamagedError(f"The metadata is no JSON: {error}.", where) from error
    layout = layout_of(document, where)
    kind = ZarrReader if layout.codec is None else ShardedReader
    return kind(array, source, layout)


class ShardedReader:
    """Reads stores with a codec of ours; made by `open_reader`.

    Files stay open and indices in memory, both within bounds. Each thread reads encoded bytes into a buffer of its own.
    """

    def __init__(self, array: str | Path, source: ByteSource, layout: ArrayLayout) -> None:
        assert layout.codec is not None
        self.array, self.layout, self.remote = array, layout, source.remote
        self._source, self._codec = source, layout.codec
        size = 16 * layout.shard_rows + CHECKSUM_BYTES
        self._index = lru_cache(maxsize=max(1, INDEX_BYTES // size))(partial(_read_index, source, size))

    def __reduce__(self) -> tuple[Any, ...]:
        return open_reader, (self.array,)

    def read_into(self, row: int, out: Patch) -> bool:
        """See `Reader.read_into`."""
        found = self._find(row)
        if found is None:
            out[...] = NODATA
            return False
        name, start, length = found
        tries = 2 if self.remote else 1  # what came damaged through a network may come well again
        for left in reversed(range(tries)):
            try:
                decode_into(self._source.fetch(name, start, length), out, self._codec)
                break
            except DamagedError as error:
                if not left:
                    raise self._damaged(row, error) from error
        return True

    def encoded(self, row: int) -> memoryview | None:
        """The encoded patch as it is stored, unchecked, until this thread reads again; None if there is none."""
        found = self._find(row)
        return None if found is None else self._source.fetch(*found)

    def shard_of(self, row: int) -> str:
        """See `Reader.shard_of`."""
        return self._source.where(self.layout.pattern.format(row // self.layout.shard_rows))

    def _find(self, row: int) -> tuple[str, int, int] | None:
        """File, first byte and length of a row."""
        if not 0 <= row < self.layout.rows:
            raise IndexError(f"Row {row} of an array of {self.layout.rows} rows.")
        shard, inside = divmod(row, self.layout.shard_rows)
        name = self.layout.pattern.format(shard)
        try:
            start, length = (int(value) for value in self._index(name)[inside])
        except FileNotFoundError:
            return None
        except DamagedError as error:
            raise self._damaged(row, error) from error
        if start == ABSENT:
            return None
        if not CHECKSUM_BYTES < length <= 2 * PATCH_BYTES:
            raise self._damaged(row, DamagedError(f"A patch cannot have {length} bytes."))
        return name, start, length

    def _damaged(self, row: int, error: DamagedError) -> DamagedError:
        return DamagedError(f"Row {row}: {error.what}", self.shard_of(row), error.remedy)


def _read_index(source: ByteSource, length: int, name: str) -> Index:
    """Where the rows of a shard lie, from the ``length`` bytes at its end."""
    tail, size = source.tail(name, length)
    if len(tail) < length:
        raise DamagedError(f"The shard has {size} bytes, less than its index.")
    index: Index = np.frombuffer(verified(tail), "<u8").reshape(-1, 2)
    present = index[index[:, 0] != ABSENT]
    # Compared apart, since a sum of absurd numbers might wrap around.
    if (present > size).any() or (present.sum(axis=1) > size - length).any():
        raise DamagedError("The shard's index points behind its end.")
    return index


class ZarrReader:
    """Reads any other Zarr v3 array of int16 patches, through zarr-python; made by `open_reader`.

    A row counts as absent if it holds nothing but nodata.
    """

    def __init__(self, array: str | Path, source: ByteSource, layout: ArrayLayout) -> None:
        self.array, self.layout, self.remote = array, layout, source.remote
        self._array = _opened(source)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_reader, (self.array,)

    def read_into(self, row: int, out: Patch) -> bool:
        """See `Reader.read_into`."""
        if not 0 <= row < self.layout.rows:
            raise IndexError(f"Row {row} of an array of {self.layout.rows} rows.")
        try:
            values: npt.NDArray[Any] = np.asarray(self._array[row])
        except Exception as error:  # each codec has errors of its own
            raise self._told(row, error) from (None if self.remote else error)
        out[...] = values
        return bool((out[0] != NODATA).any()) or bool((out != NODATA).any())

    def _told(self, row: int, error: Exception) -> BuildError:
        """What an error means; what an object store says may hold secrets, and is not passed on."""
        if self.remote:
            from spectralearth_build.storage.trouble import refused_by

            if (refusal := refused_by(error, str(self.array))) is not None:
                return refusal
        if fault := fault_of(error):
            return fault
        return DamagedError(f"Row {row}: zarr-python cannot read it: {error}.", self.shard_of(row))

    def shard_of(self, row: int) -> str:
        """See `Reader.shard_of`."""
        return str(self.array)


def _opened(source: ByteSource) -> zarr.Array[Any]:
    import zarr
    from zarr.storage import ObjectStore

    if isinstance(source, ObjectSource):
        return zarr.open_array(ObjectStore(source.client.store, read_only=True), mode="r")
    return zarr.open_array(source.where(""), mode="r")
