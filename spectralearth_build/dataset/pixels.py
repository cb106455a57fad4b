"""The store of a dataset: pixels, read by the package's own reader, and coordinates, each read once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from spectralearth_build.dataset import tables_copy as remote
from spectralearth_build.dataset.consistency import ConsistencyCheck
from spectralearth_build.dataset.read_errors import told
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.layout import STORE, shard_name
from spectralearth_build.reading.reader import Reader, array_of, open_reader
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.codec import PATCH_SHAPE  # this import registers our codecs with zarr


class StoredPixels:
    """The store of a dataset.

    Args:
        folder: folder of the dataset's tables.
        place: location of the store, if it is on an object store.
        consistency: the checks that its files belong together.
    """

    def __init__(self, folder: Path, place: Remote | None, consistency: ConsistencyCheck) -> None:
        self._folder, self._place, self._consistency = folder, place, consistency
        self._proven: set[int] = set()

    @cached_property
    def group(self) -> zarr.Group:
        """The Zarr group."""
        return self._opened()

    def _opened(self) -> zarr.Group:
        with told(self._folder, self._place):
            if self._place is None:
                return zarr.open_group(self._folder / STORE, mode="r")
            return zarr.open_group(remote.zarr_store(self._place / STORE), mode="r")

    def patches(self, rows: list[dict[str, Any]]) -> npt.NDArray[np.int16]:
        """Return the pixels of patches, int16 [patch, band, y, x].

        Args:
            rows: rows of the table of patches, with store_row, shard and checksum.

        Raises:
            DamagedError: A patch is missing or damaged, or belongs to another dataset.
        """
        values = np.empty((len(rows), *PATCH_SHAPE), np.int16)
        with told(self._folder, self._place):
            stored = [(row["store_row"], out) for row, out in zip(rows, values, strict=True)]
            requests = [self._reader.request(row) for row, _ in stored]
            there = [
                self._reader.read_into(row, out, request)
                for (row, out), request in zip(stored, requests, strict=True)
            ]
        if not all(there):
            lost = [row["store_row"] for row, found in zip(rows, there, strict=True) if not found]
            what = f"Rows of the store are missing: {', '.join(map(str, lost))}."
            raise DamagedError(what, self._reader.shard_of(lost[0]))
        for row, pixels in zip(rows, values, strict=True):
            if row["shard"] not in self._proven:  # files are mixed up as a whole
                self._consistency.require(shard_name(row["shard"]), row["store_row"], row["checksum"], pixels)
                self._proven.add(row["shard"])
        return values

    def bands(self, store_rows: list[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return actual centre wavelengths and widths of rows of the store, float64 [row, band], nm."""
        tile_of_row, wavelength_nm, fwhm_nm = self._coordinates
        tile = tile_of_row[store_rows]
        return wavelength_nm[tile], fwhm_nm[tile]

    def values(self, name: str) -> npt.NDArray[Any]:
        """Return all values of an array of the store."""
        with told(self._folder, self._place):
            array = self.group[name]
            assert isinstance(array, zarr.Array)
            return np.asarray(array[...])

    @cached_property
    def _reader(self) -> Reader:
        return open_reader(array_of(self._place or self._folder))

    @cached_property
    def _coordinates(self) -> tuple[npt.NDArray[Any], ...]:
        """Tile of each row, and wavelengths and widths of each tile. They are made again when a dataset grows."""
        try:
            return tuple(map(self.values, ("tile_index", "tile_wavelength_nm", "tile_fwhm_nm")))
        finally:
            self._require_same()

    def _require_same(self) -> None:
        """Check that the dataset has not grown since it was opened; else some arrays could be older than others."""
        if self._opened().attrs.get("plan") != self.group.attrs.get("plan"):
            what = "The dataset has grown since it was opened."
            raise UsageError(what, str(self._place or self._folder), "Open it again, with `open_dataset`.")
