"""What `pair` needs to know of the patches that were cut, in about 50 bytes a patch."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spectralearth_build.labels.pair_task import PatchToLabel
from spectralearth_build.overlap.lattice import corner_of
from spectralearth_build.store.commit import records
from spectralearth_build.store.planned_patches import Integers, windows_of
from spectralearth_build.tables import PATCHES


@dataclass(frozen=True)
class CutShard:
    """A shard of pixels."""

    tile_id: str
    """The tile whose patches it has."""
    rows: tuple[int, ...]
    """Rows of the store that were written, ascending."""


class CutShards(Mapping[int, CutShard]):
    """The shards of a dataset that have a valid commit record.

    Args:
        dataset: the dataset.
        plan_of: returns the plan id that the record of a shard must have.

    Raises:
        PlanChangedError: A record belongs to another plan.
    """

    def __init__(self, dataset: Path, plan_of: Callable[[int], str]) -> None:
        self._rows = array("q")
        self._places: dict[int, tuple[str, int, int]] = {}
        for commit, _ in records(dataset, plan_of):
            first = len(self._rows)
            self._rows.extend(commit.rows)
            self._places[commit.shard] = intern(commit.tile_id), first, len(self._rows)

    def __getitem__(self, shard: int) -> CutShard:
        tile_id, first, stop = self._places[shard]
        return CutShard(tile_id, tuple(self._rows[first:stop]))

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class PatchPlaces:
    """Place and time of every patch of a dataset, by its row in the store.

    Args:
        folder: folder of patches.parquet.

    Raises:
        DamagedError: The table cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        rows, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        windows: list[Integers] = [np.empty((0, 3), np.int32)]
        for batch in PATCHES.batches(folder, ["store_row", "location_id", "acquired"]):
            rows.append(batch["store_row"].to_numpy())
            times.append(batch["acquired"].cast(pa.int64()).to_numpy())
            windows.append(windows_of(batch["location_id"]))
        self._rows, self._times = np.concatenate(rows), np.concatenate(times)
        self._windows = np.concatenate(windows)
        if not (self._rows[1:] > self._rows[:-1]).all():
            order = np.argsort(self._rows, kind="stable")
            self._rows, self._times = self._rows[order], self._times[order]
            self._windows = self._windows[order]

    def of(self, rows: tuple[int, ...]) -> tuple[PatchToLabel, ...]:
        """Return what a task needs of patches, in order of their rows in the store."""
        place = self._place(rows)
        epsg, col, row = self._windows[place].T
        west, north = corner_of(row.astype(float), col.astype(float))
        acquired = pd.DatetimeIndex(self._times[place].view("M8[us]"), tz="UTC")
        columns = epsg.tolist(), west.tolist(), north.tolist(), acquired
        return tuple(PatchToLabel(*values) for values in zip(rows, *columns, strict=True))

    def windows(self, rows: tuple[int, ...]) -> Integers:
        """Return epsg, lattice_col and lattice_row of patches, int32 [patch, 3]."""
        return self._windows[self._place(rows)]

    def _place(self, rows: tuple[int, ...]) -> npt.NDArray[np.int64]:
        asked = np.array(rows, np.int64)
        place = np.searchsorted(self._rows, asked)
        if not np.array_equal(self._rows[np.minimum(place, len(self._rows) - 1)], asked):
            raise KeyError(rows)
        return place
