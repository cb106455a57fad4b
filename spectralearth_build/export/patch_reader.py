"""Reading of patches from the store, each verified by its checksum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.dataset.access import Dataset
from spectralearth_build.errors import DamagedError
from spectralearth_build.export.format import Cube
from spectralearth_build.reading.reader import array_of, open_reader
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.store.codec import PATCH_SHAPE


class PatchReader:
    """A thread-safe reader of patches by row.

    Args:
        dataset: the finished dataset.
        bands: 0-based indices of the bands to keep, ascending.
    """

    def __init__(self, dataset: Dataset, bands: npt.NDArray[np.intp]) -> None:
        self._dataset = dataset
        self._reader = open_reader(array_of(str(dataset.remote or dataset.path)))
        self._bands = None if len(bands) == PATCH_SHAPE[0] else bands
        self.shape = (len(bands), *PATCH_SHAPE[1:])
        """Number of bands, lines and columns of a patch."""

    def read(self, row: int) -> Cube:
        """Read the patch in a row of the store: int16 [band, y, x].

        Raises:
            DamagedError: The patch is missing or damaged.
            StoppedError: A signal arrived.
        """
        raise_if_stopped()
        cube: Cube = np.empty(PATCH_SHAPE, np.int16)
        if not self._reader.read_into(row, cube):
            raise DamagedError(f"Row {row} is missing.", self._reader.shard_of(row))
        self._dataset.require_row(row, cube)
        return cube if self._bands is None else cube[self._bands]
