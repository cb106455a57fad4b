"""Random access to patches in shards: one positioned read and one decode into the caller's array, without a copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.layout import REFLECTANCE, STORE, ZARR
from spectralearth_build.reading.array_layout import ArrayLayout, layout_of
from spectralearth_build.reading.byte_source import FileSource, ObjectSource, source_of
from spectralearth_build.reading.foreign import ZarrReader
from spectralearth_build.reading.requested import RequestingReader
from spectralearth_build.reading.sharded import ShardedReader
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.codec import Patch


def array_of(place: str | Path | Remote) -> str:
    """Return the folder or URL of the patch array of a dataset."""
    return f"{str(place).rstrip('/')}/{STORE}/{REFLECTANCE}"


class Reader(Protocol):
    """A reader of rows of a patch array [row, band, y, x]. It is thread-safe and can be pickled."""

    layout: ArrayLayout
    remote: bool
    """Whether reads wait for a network."""

    def request(self, row: int) -> Any:  # noqa: ANN401
        """Begin to read a patch, without waiting.

        Returns:
            What `read_into` needs, with a method ``cancel``; None if this reader cannot begin before `read_into`.
        """

    def read_into(self, row: int, out: Patch, request: Any = None) -> bool:  # noqa: ANN401
        """Read one patch.

        Args:
            row: row of the patch in the store.
            out: C-contiguous output array, int16 [band, y, x]. It is filled with nodata if the patch does not exist.
            request: output of `request` for this row; None: begin now.

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
        A `ShardedReader` if the codec is one of our presets (a `RequestingReader` for a URL), else a `ZarrReader`.

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
    if layout.codec is None:
        return ZarrReader(array, source, layout)
    if isinstance(source, ObjectSource):
        return RequestingReader(array, source, layout)
    return ShardedReader(array, source, layout)
