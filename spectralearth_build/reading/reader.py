"""Random access to patches in shards: one positioned read and one decode into the caller's array, without a copy."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import BuildError, DamagedError, UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.layout import REFLECTANCE, STORE, ZARR
from spectralearth_build.reading.array_layout import ArrayLayout, layout_of
from spectralearth_build.reading.byte_source import ByteSource, FileSource, ObjectSource, source_of
from spectralearth_build.storage.url import Remote
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
"""Memory for shard indices. It holds the indices of four million rows."""


def array_of(place: str | Path | Remote) -> str:
    """Return the folder or URL of the patch array of a dataset."""
    return f"{str(place).rstrip('/')}/{STORE}/{REFLECTANCE}"


class Reader(Protocol):
    """A reader of rows of a patch array [row, band, y, x]. It is thread-safe and can be pickled."""

    layout: ArrayLayout
    remote: bool
    """Whether reads wait for a network."""

    def read_into(self, row: int, out: Patch) -> bool:
        """Read one patch.

        Args:
            row: row of the patch in the store.
            out: C-contiguous output array, int16 [band, y, x]. It is filled with nodata if the patch does not exist.

        Returns:
            Whether the patch exists.

        Raises:
            DamagedError: The patch exists but cannot be read. The message names row and shard.
            IndexError: The array has no such row.
        """

    def shard_of(self, row: int) -> str:
        """Return the file or URL that contains a row, for messages."""


def open_reader(array: str | Path) -> Reader:
    """Open the patch array of a store.

    Args:
        array: folder or URL of the array, such as ``my-dataset/store.zarr/reflectance``.

    Returns:
        A `ShardedReader` if the codec is one of our presets, else a `ZarrReader`.

    Raises:
        UsageError: The store does not exist.
        DamagedError: The array does not exist, or its metadata is invalid.
    """
    source = source_of(array)
    where = source.where(ZARR)
    try:
        document = json.loads(source.whole(ZARR))
    except FileNotFoundError:
        store = source.folder.parent if isinstance(source, FileSource) else None
        if store is not None and not store.is_dir():
            remedy = "Check the path, and whether its disk is mounted."
            raise UsageError("The folder does not exist.", store, remedy) from None
        raise DamagedError("The array does not exist.", where) from None
    except (ValueError, RecursionError) as error:
        if isinstance(source, ObjectSource):
            source.client.require_sense()
        raise DamagedError(f"The metadata is not valid JSON: {error}.", where) from error
    layout = layout_of(document, where)
    kind = ZarrReader if layout.codec is None else ShardedReader
    return kind(array, source, layout)


class ShardedReader:
    """A reader of stores with one of our codecs, made by `open_reader`.

    Files stay open and indices stay in memory, up to a limit. Each thread reads encoded bytes into its own buffer.
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
        tries = 2 if self.remote else 1  # bytes damaged in transit may arrive intact the next time
        for left in reversed(range(tries)):
            try:
                decode_into(self._source.fetch(name, start, length), out, self._codec)
                break
            except DamagedError as error:
                if not left:
                    raise self._damaged(row, error) from error
        return True

    def encoded(self, row: int) -> memoryview | None:
        """Return the encoded patch, unchecked and valid until this thread reads again; None if it does not exist."""
        found = self._find(row)
        return None if found is None else self._source.fetch(*found)

    def shard_of(self, row: int) -> str:
        """See `Reader.shard_of`."""
        return self._source.where(self.layout.pattern.format(row // self.layout.shard_rows))

    def _find(self, row: int) -> tuple[str, int, int] | None:
        """Return file, first byte and length of a row."""
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
            raise self._damaged(row, DamagedError(f"A patch cannot be {length} bytes long."))
        return name, start, length

    def _damaged(self, row: int, error: DamagedError) -> DamagedError:
        return DamagedError(f"Row {row}: {error.what}", self.shard_of(row), error.remedy)


def _read_index(source: ByteSource, length: int, name: str) -> Index:
    """Read the index of a shard from its last ``length`` bytes."""
    tail, size = source.tail(name, length)
    if len(tail) < length:
        raise DamagedError(f"The shard has {size} bytes, fewer than its index.")
    index: Index = np.frombuffer(verified(tail), "<u8").reshape(-1, 2)
    present = index[index[:, 0] != ABSENT]
    # Compared separately, since the sum of invalid numbers could overflow.
    if (present > size).any() or (present.sum(axis=1) > size - length).any():
        raise DamagedError("The index of the shard points beyond its end.")
    return index


class ZarrReader:
    """A reader of any other Zarr v3 array of int16 patches via zarr-python, made by `open_reader`.

    A row that contains only nodata counts as absent.
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
        except Exception as error:  # each codec raises its own errors
            raise self._told(row, error) from (None if self.remote else error)
        out[...] = values
        return bool((out[0] != NODATA).any()) or bool((out != NODATA).any())

    def _told(self, row: int, error: Exception) -> BuildError:
        """Convert an error. Messages of an object store may contain secrets, so they are not passed on."""
        if self.remote:
            from spectralearth_build.storage.trouble import refused_by

            if (refusal := refused_by(error, str(self.array))) is not None:
                return refusal
        if fault := fault_of(error):
            return fault
        return DamagedError(f"zarr-python cannot read row {row}: {error}.", self.shard_of(row))

    def shard_of(self, row: int) -> str:
        """See `Reader.shard_of`."""
        return str(self.array)


def _opened(source: ByteSource) -> zarr.Array[Any]:
    import zarr
    from zarr.storage import ObjectStore

    if isinstance(source, ObjectSource):
        return zarr.open_array(ObjectStore(source.client.store, read_only=True), mode="r")
    return zarr.open_array(source.where(""), mode="r")
