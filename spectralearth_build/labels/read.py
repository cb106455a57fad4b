"""Read labels of a finished dataset: maps of class indices, and classes of whole patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr

from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.labels import class_counts as summary
from spectralearth_build.labels.classes import LabelClass, Nomenclature
from spectralearth_build.labels.classes import nomenclature as named
from spectralearth_build.labels.define import nomenclature_of
from spectralearth_build.layout import LABEL_PREFIX, PatchStatus, label_shard
from spectralearth_build.store.labels import MEND, Definition, decode_definition
from spectralearth_build.tables import LABELS

_TOGETHER = 256
"""Number of maps to summarise at a time."""


def open_labels(dataset: str | Path | Dataset, name: str, nomenclature: str | None = None) -> LabelSet:
    """Open a label of a finished dataset.

    Args:
        dataset: the dataset, or its folder or URL.
        name: name of the label.
        nomenclature: another class table, as a name or CSV file; None: that of the label. Labels store the codes of
            the raster, so any class table for the same codes can be used.

    Raises:
        UsageError: The label or class table does not exist, or the label has no classes.

    Examples:
        >>> corine = open_labels(folder, "corine")
        >>> rows = corine.table["store_row"].head(8)
        >>> corine.maps(rows).shape, corine.multi_hot(rows).shape
        ((8, 128, 128), (8, 19))
    """
    opened = dataset if isinstance(dataset, Dataset) else open_dataset(dataset)
    array = opened.store.get(f"{LABEL_PREFIX}{name}")
    if not isinstance(array, zarr.Array):
        known = sorted(
            key.removeprefix(LABEL_PREFIX)
            for key in opened.store.array_keys()
            if key.startswith(LABEL_PREFIX)
        )
        listed = f"There are: {', '.join(known)}." if known else "Make labels with `pair`."
        raise UsageError(f"There is no label '{name}'.", opened.path, listed)
    definition = decode_definition(f"{array.attrs['definition']}\n".encode())
    other = None if nomenclature is None else named(nomenclature)
    if other is not None and definition.kind == "continuous":
        raise UsageError(f"{name} has no classes.", opened.path, "Leave out the class table.")
    return LabelSet(opened, definition, array, other)


@dataclass(frozen=True)
class LabelSet:
    """A label of a dataset, opened by `open_labels`. Rows are rows of the store, in any order."""

    dataset: Dataset
    """The dataset."""
    definition: Definition
    """Definition of the label."""
    array: zarr.Array[Any]
    """The stored array: source codes or quantities [row, 128, 128]."""
    other: Nomenclature | None = None
    """Classes to use instead of those of the definition; None for the latter."""

    @property
    def name(self) -> str:
        """Name of the label."""
        return self.definition.label

    @property
    def kind(self) -> Literal["categorical", "continuous"]:
        """Whether the label has classes or quantities."""
        return "continuous" if self.definition.kind == "continuous" else "categorical"

    @cached_property
    def nomenclature(self) -> Nomenclature:
        """The classes and their codes."""
        return self.other or nomenclature_of(self.definition)

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes in order of their indices; empty for quantities."""
        return self.nomenclature.classes

    @cached_property
    def table(self) -> pd.DataFrame:
        """The patches that have a map, in order of rows (columns: `spectralearth_build.tables.LABELS`)."""
        found = self.dataset.read(LABELS)
        mine = found[(found["label"] == self.name) & (found["status"] == PatchStatus.WRITTEN)].reset_index(
            drop=True
        )
        return mine if self.other is None else self._counted(mine)

    def maps(self, rows: Sequence[int] | npt.ArrayLike) -> npt.NDArray[Any]:
        """Maps of patches: class indices, uint8 [n, 128, 128], 255 for no class; or quantities, float32.

        Patches that were left out have no class, or NaN, in all pixels.

        Raises:
            DamagedError: a shard is missing, or belongs to another label or dataset.
        """
        wanted = np.asarray(rows, np.int64)
        values = np.asarray(self.array.oindex[wanted])
        nodata = self.definition.nodata
        empty = (np.isnan(values) if nodata is None else values == nodata).all(axis=(1, 2))
        lost = np.intersect1d(wanted[empty], self.table["store_row"])
        if lost.size:
            raise DamagedError(
                f"Labels of rows are missing: {', '.join(map(str, lost))}.", self.dataset.path, MEND
            )
        together = (self.array.shards or self.array.chunks)[0]
        checksums = self.table.set_index("store_row")["checksum"].reindex(wanted)
        for row, checksum, each in zip(wanted.tolist(), checksums, values, strict=True):
            shard = label_shard(self.name, row // together)
            self.dataset.consistency.require(shard, row, checksum, each)
        return values if self.kind == "continuous" else self.nomenclature.indices(values)

    def multi_hot(self, rows: Sequence[int] | npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which classes reach the threshold's share of the labelled pixels of patches, bool [n, class].

        Raises:
            UsageError: the label has no classes, or a patch has no map.
        """
        chosen = self._of(rows, "classes")
        found = np.zeros((len(chosen), len(self.classes)), bool)
        for each, present in zip(found, chosen, strict=True):
            each[np.asarray(present, np.int64)] = True
        return found

    def majority(self, rows: Sequence[int] | npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The most frequent class of patches, int64 [n]; -1 if no pixel has a class.

        Raises:
            UsageError: the label has no classes, or a patch has no map.
        """
        return np.asarray(self._of(rows, "majority"), np.int64)

    def _of(self, rows: Sequence[int] | npt.ArrayLike, column: str) -> list[Any]:
        """A column of the table for rows of the store."""
        if self.kind == "continuous":
            raise UsageError(f"{self.name} has no classes.", self.dataset.path, "Use its maps.")
        known = self._by_row[column]
        wanted = np.asarray(rows, np.int64)
        if missing := sorted(set(wanted.tolist()) - set(known.index)):
            raise UsageError(
                f"Row {missing[0]} has no map of {self.name}.", self.dataset.path, "Use rows from its table."
            )
        return list(known.loc[wanted])

    @cached_property
    def _by_row(self) -> pd.DataFrame:
        return self.table.set_index("store_row")

    def _counted(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with the columns about classes computed for the other nomenclature."""
        count, rows = len(self.classes), table["store_row"].to_numpy()
        fractions, classes, best = [], [], []
        for start in range(0, len(rows), _TOGETHER):
            maps = self.nomenclature.indices(np.asarray(self.array.oindex[rows[start : start + _TOGETHER]]))
            fractions += np.atleast_1d(summary.labelled_fraction(maps)).tolist()
            classes += [
                np.flatnonzero(each) for each in summary.multi_hot(maps, count, self.definition.threshold)
            ]
            best += np.atleast_1d(summary.majority(maps, count)).tolist()
        return table.assign(labelled_fraction=fractions, classes=classes, majority=np.array(best, np.int32))
