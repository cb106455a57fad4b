"""Reading of patch arrays with other codecs, by zarr-python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import BuildError, DamagedError
from spectralearth_build.faults import fault_of
from spectralearth_build.reading.array_layout import ArrayLayout
from spectralearth_build.reading.byte_source import ByteSource, ObjectSource
from spectralearth_build.store.codec import NODATA, Patch

if TYPE_CHECKING:
    import zarr


class ZarrReader:
    """A reader of any other Zarr v3 array of int16 patches via zarr-python, made by `open_reader`.

    A row that contains only nodata counts as absent.
    """

    def __init__(self, array: str | Path, source: ByteSource, layout: ArrayLayout) -> None:
        self.array, self.layout, self.remote = array, layout, source.remote
        self._array = _opened(source)

    def __reduce__(self) -> tuple[Any, ...]:
        from spectralearth_build.reading.reader import open_reader

        return open_reader, (self.array,)

    def request(self, row: int) -> None:
        """See `Reader.request`; zarr-python reads when asked for the pixels."""

    def read_into(self, row: int, out: Patch, request: object = None) -> bool:
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
