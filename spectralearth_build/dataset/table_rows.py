"""Rows of a table, read from its file without the rest: only the columns asked for, and only where they can match."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spectralearth_build.dataset.snapshot import Snapshot

Rows = npt.NDArray[np.int64]
"""Numbers of rows in the table, from 0."""
ROW = "row"
"""Name of an added column with the number of each row."""
KEPT_GROUPS = 32
"""Row groups that `TableRows.find` keeps in memory: four million patches, about 0.4 GB."""


class TableRows:
    """A reader of some rows of one table.

    Args:
        file: the table.
        found: the column whose values `find` looks up.
        known: the columns that `find` returns.
    """

    def __init__(self, file: Snapshot, found: str, known: Sequence[str]) -> None:
        self.table, self._file = file.table, file
        self._found, self._known = found, list(dict.fromkeys([found, *known]))
        self._group = lru_cache(maxsize=KEPT_GROUPS)(self._read_group)

    def where(self, names: Sequence[str], condition: ds.Expression | None = None) -> pa.Table:
        """Return columns of all rows that meet a condition, in order, and a column `ROW`.

        Row groups whose statistics exclude the condition are not read.

        Args:
            names: columns to return; the condition may use only these.
            condition: a condition on columns; None: all rows.

        Raises:
            UsageError: The file or a column is missing.
            DamagedError: The file cannot be read.
        """
        with self._file.opened() as file:
            self.table.require_columns(file, names)
            groups: Sequence[int] = range(file.num_row_groups)
            if condition is not None:
                groups = self._file.groups(condition)
            parts = [self._part(file, group, names).filter(condition) if condition is not None else
                     self._part(file, group, names) for group in groups]  # fmt: skip
            return pa.concat_tables(parts) if parts else self._part(file, None, names)

    def frame(self, rows: Rows, names: Sequence[str] | None) -> pd.DataFrame:
        """Return rows as a data frame with the types of `Table.read`, labelled by their numbers.

        Args:
            rows: ascending numbers of rows.
            names: columns to return; None: all.
        """
        with self._file.opened() as file:
            names = self.table.names_in(file) if names is None else names
            self.table.require_columns(file, names)
            starts = _starts(file.metadata)
            edges = np.searchsorted(rows, starts)
            parts = [
                _taken(self._part(file, group, names), rows[first:last] - starts[group])
                for group, (first, last) in enumerate(pairwise(edges))
                if last > first
            ]
            found = pa.concat_tables(parts) if parts else self._part(file, None, names)
            frame = found.drop_columns([ROW]).to_pandas()
            frame.index = pd.Index(found[ROW].to_numpy())
            for name in names:
                kind = found.schema.field(name).type
                if (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and _has_nulls(
                    file.metadata, name
                ):
                    # As in the whole table, whose column pandas cannot hold as numbers because of its nulls.
                    frame[name] = frame[name].astype("float64" if pa.types.is_integer(kind) else object)
            return frame

    def find(self, text: str) -> list[dict[str, Any]]:
        """Return the rows with a text in the looked-up column, in order, by column."""
        found: list[dict[str, Any]] = []
        for row in self._index.candidates(text).tolist():
            group = int(np.searchsorted(self._starts, row, side="right")) - 1
            columns, inside = self._group(group), row - int(self._starts[group])
            if columns[self._found][inside].as_py() == text:
                found.append({name: column[inside].as_py() for name, column in columns.items()} | {ROW: row})
        return found

    @cached_property
    def _starts(self) -> Rows:
        with self._file.opened() as file:
            return _starts(file.metadata)

    @cached_property
    def _index(self) -> TextIndex:
        with self._file.opened() as file:
            self.table.require_columns(file, self._known)
            groups = range(file.num_row_groups)
            return TextIndex(file.read_row_group(group, [self._found])[self._found] for group in groups)

    def _read_group(self, group: int) -> dict[str, pa.Array]:
        with self._file.opened() as file:
            part = self._part(file, group, self._known)
        return {name: part[name].combine_chunks() for name in self._known}

    def _part(self, file: pq.ParquetFile, group: int | None, names: Sequence[str]) -> pa.Table:
        """Return columns of a row group with the numbers of its rows; None: no rows. Later columns may be absent."""
        there = [name for name in names if name in file.schema_arrow.names]
        if group is None:
            part, first = file.schema_arrow.empty_table().select(there), 0
        else:
            part, first = file.read_row_group(group, there), int(_starts(file.metadata)[group])
        kinds = self.table.schema
        columns = {
            name: part[name] if name in there else pa.nulls(len(part), kinds.field(name).type)
            for name in names
        }
        return pa.table(columns | {ROW: np.arange(first, first + len(part))})


class TextIndex:
    """Finds rows by text: a sorted array of 32-bit hashes, 8 bytes a row.

    Args:
        chunks: the texts of the column, in order.
    """

    def __init__(self, chunks: Any) -> None:  # noqa: ANN401
        hashes = np.concatenate([np.empty(0, np.uint32), *map(_hashes, chunks)])
        order = np.argsort(hashes, kind="stable")
        self._sorted, self._order = (
            hashes[order],
            order.astype(np.int32 if len(order) < 1 << 31 else np.int64),
        )

    def candidates(self, text: str) -> Rows:
        """Return the rows that may have a text, ascending; few others have the same hash."""
        asked = _hashed(np.array([text], object))[0]
        first, last = (int(np.searchsorted(self._sorted, asked, side)) for side in ("left", "right"))
        return np.sort(self._order[first:last]).astype(np.int64)


def _taken(part: pa.Table, rows: Rows) -> pa.Table:
    """Return rows of a table, ascending and without duplicates."""
    return part if len(rows) == len(part) else part.take(rows)


def _hashes(texts: pa.ChunkedArray) -> npt.NDArray[np.uint32]:
    return _hashed(texts.to_numpy().astype(object))


def _hashed(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.uint32]:
    hashes: npt.NDArray[np.uint64] = pd.util.hash_array(texts, categorize=False)
    return hashes.astype(np.uint32)


def _starts(metadata: pq.FileMetaData) -> Rows:
    """Return the first row of each row group, and the number of rows."""
    counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _has_nulls(metadata: pq.FileMetaData, name: str) -> bool:
    """Return whether any row of a column is null; without statistics, whether it may be."""
    names = [metadata.schema.column(k).path for k in range(metadata.num_columns)]
    if name not in names:
        return True
    column = names.index(name)
    each = (metadata.row_group(group).column(column).statistics for group in range(metadata.num_row_groups))
    return any(told is None or told.null_count is None or told.null_count > 0 for told in each)
