"""Tables of a dataset: columns with type and meaning, and how tables are written to and read from files.

Documentation, validation and files all follow these definitions. Tables with a ``geometry`` are GeoParquet
in EPSG:4326 (longitude, latitude), with geometries split at the antimeridian.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from spectralearth_build.errors import BuildError, DamagedError, UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.files import replacing
from spectralearth_build.geoparquet import NOWHERE, Extent, extent_of_wkb, extent_stated, geo_metadata

ROW_GROUP = 1 << 17
"""Rows of a Parquet row group."""
_PLANS = "plans"
"""Key of the plan ids in a file's metadata."""
GEOMETRY = None
"""Type of a geometry column: WKB, described by GeoParquet metadata."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType | None
    """Arrow type; None for the geometry."""
    meaning: str
    """Description, with unit."""
    later: bool = False
    """Files of earlier versions lack the column; it is then read as nulls."""


@dataclass(frozen=True)
class Table:
    """One Parquet file of a dataset."""

    file: str
    """File name inside the dataset folder."""
    meaning: str
    columns: tuple[Column, ...]
    rows_at_once: int | None = None
    """Rows of a row group; None: `ROW_GROUP`."""

    @property
    def row_group(self) -> int:
        """Rows of a row group, which are in memory at a time."""
        return self.rows_at_once or ROW_GROUP

    @property
    def spatial(self) -> bool:
        """Whether the table has a geometry."""
        return any(column.type is GEOMETRY for column in self.columns)

    def frame(
        self, rows: list[dict[str, Any]] | dict[str, Any] | pd.DataFrame
    ) -> gpd.GeoDataFrame | pd.DataFrame:
        """A (geo) data frame with exactly this table's columns and types; missing columns become nulls."""
        data = pd.DataFrame(rows)
        plain = [c for c in self.columns if c.type is not GEOMETRY]
        arrays = {c.name: _array(data[c.name] if c.name in data else [None] * len(data), c) for c in plain}
        result = pa.table(arrays).to_pandas(timestamp_as_object=False)
        if not self.spatial:
            return result
        shapes = data["geometry"] if "geometry" in data else [None] * len(data)
        framed = gpd.GeoDataFrame(result, geometry=gpd.GeoSeries(list(shapes), crs="EPSG:4326"))
        return framed[[c.name for c in self.columns]]

    def arrow(self, rows: pd.DataFrame | Mapping[str, Any]) -> pa.Table:
        """An Arrow table with exactly this table's columns and types; missing columns become nulls.

        Args:
            rows: values by column; the geometry as shapely geometries, or as WKB in an Arrow array.
        """
        count = len(next(iter(rows.values()))) if isinstance(rows, Mapping) and rows else len(rows)
        columns = [
            _array(rows[c.name], c) if c.name in rows else pa.nulls(count, c.type or pa.binary())
            for c in self.columns
        ]
        return pa.table(columns, schema=self.schema)

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns; a geometry is WKB."""
        return pa.schema([(c.name, c.type or pa.binary()) for c in self.columns])

    def write(self, rows: pd.DataFrame | pa.Table, folder: Path, plans: Sequence[str] = ()) -> Path:
        """Write the table into ``folder`` atomically. The same rows give the same bytes.

        Args:
            rows: a data frame, or a table that `arrow` made.
            folder: the folder to write to.
            plans: ids of the plan generations that the table belongs to, oldest first; see `plans_of`.
        """
        table = self._table(rows)
        return self.write_parts([table], folder, plans, self._extent(table))

    def write_parts(
        self, parts: Iterable[pa.Table], folder: Path, plans: Sequence[str] = (), extent: Extent = NOWHERE
    ) -> Path:
        """Write a table that comes in parts, of which one row group is held at a time; see `write`.

        Args:
            parts: tables with the columns of `schema`. How the rows are divided does not change the file.
            folder: the folder to write to.
            plans: ids of the plan generations.
            extent: extent of all geometries. It is known before the rows, because it is written first.
        """
        path = folder / self.file
        with replacing(path) as temporary:
            self._write(parts, temporary, plans, extent)
        return path

    def encode(self, rows: pd.DataFrame | pa.Table, plans: Sequence[str] = ()) -> bytes:
        """The bytes that `write` writes."""
        buffer, table = pa.BufferOutputStream(), self._table(rows)
        self._write([table], buffer, plans, self._extent(table))
        return bytes(buffer.getvalue().to_pybytes())

    def _table(self, rows: pd.DataFrame | pa.Table) -> pa.Table:
        return rows if isinstance(rows, pa.Table) else self.arrow(rows)

    def _extent(self, table: pa.Table) -> Extent:
        return extent_of_wkb(table["geometry"]) if self.spatial else NOWHERE

    def of_before(self, data: bytes) -> bytes:
        """The file ``data`` as early versions wrote it: without later columns and plan ids, in large row groups."""
        columns = tuple(column for column in self.columns if not column.later)
        early = replace(self, columns=columns, rows_at_once=None)
        return early.encode(pq.read_table(pa.BufferReader(data)).select([c.name for c in columns]))

    def in_large_groups(self, data: bytes) -> bytes:
        """The file ``data`` as versions wrote it that had row groups of `ROW_GROUP` rows in every table."""
        table = pq.read_table(pa.BufferReader(data))
        return replace(self, rows_at_once=None).encode(table, _plans_told(table.schema))

    def plans_of(self, folder: Path) -> tuple[str, ...]:
        """Ids of the plan generations that the file in ``folder`` belongs to; empty if it names none."""
        try:
            return _plans_told(pq.read_schema(folder / self.file))
        except (OSError, ValueError):  # missing or damaged: reported when the table is read
            return ()

    def _write(
        self, parts: Iterable[pa.Table], target: Path | pa.NativeFile, plans: Sequence[str], extent: Extent
    ) -> None:
        about = geo_metadata(extent) if self.spatial else {}
        if plans:
            about[_PLANS] = " ".join(plans)
        schema = self.schema.with_metadata(about or None)
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for group in _row_groups(parts, schema, self.row_group):
                writer.write_table(group, row_group_size=self.row_group)

    def read(self, folder: Path, columns: list[str] | None = None) -> gpd.GeoDataFrame | pd.DataFrame:
        """Read the table from ``folder``; columns that are newer than the file become nulls.

        Args:
            folder: the folder of the file.
            columns: names of columns; None for all.

        Raises:
            UsageError: the file is missing or lacks columns.
            DamagedError: the file cannot be read.
        """
        with self._opened(folder) as path:
            return self._read(path, columns)

    def batches(self, folder: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the table from ``folder`` one row group at a time; newer columns than the file's become nulls.

        Args:
            folder: the folder of the file.
            columns: names of columns; None for all.

        Yields:
            Rows with the columns in the order asked for, a geometry as WKB.

        Raises:
            UsageError: the file is missing or lacks columns.
            DamagedError: the file cannot be read.
        """
        asked = [c for c in self.columns if columns is None or c.name in columns]
        schema = pa.schema([self.schema.field(name) for name in columns or [c.name for c in asked]])
        with self._opened(folder) as path, pq.ParquetFile(path) as file:
            self.require_columns(file, [c.name for c in asked])
            there = set(file.schema_arrow.names)
            for batch in file.iter_batches(
                self.row_group, columns=[c.name for c in asked if c.name in there]
            ):
                arrays = [
                    batch[field.name].cast(field.type)
                    if field.name in there
                    else pa.nulls(len(batch), field.type)
                    for field in schema
                ]
                yield pa.record_batch(arrays, schema=schema)

    @contextmanager
    def opened(self, folder: Path, source: pa.NativeFile | None = None) -> Iterator[pq.ParquetFile]:
        """Read some of the file in ``folder``. Errors of reading are those of `read`.

        Args:
            folder: the folder of the file.
            source: what `source` returned before; None: the file that is there now.
        """
        with (
            _damage_named(folder / self.file),
            pq.ParquetFile(source or self.source(folder)) as file,
        ):
            yield file

    def source(self, folder: Path) -> pa.NativeFile:
        """Open the file in ``folder``. Errors are those of `read`."""
        with self._opened(folder) as path:
            return pa.OSFile(str(path))

    def names_in(self, file: pq.ParquetFile) -> list[str]:
        """Names of the columns that `read` returns of a file if it is not asked for some."""
        there = list(file.schema_arrow.names)
        own = [column.name for column in self.columns]
        return there if set(own) <= set(there) else own

    def require_columns(self, file: pq.ParquetFile, names: Sequence[str]) -> None:
        """Check that a file has columns; those that are newer than the file may be absent.

        Raises:
            UsageError: it lacks some.
        """
        later, there = {c.name for c in self.columns if c.later}, set(file.schema_arrow.names)
        if missing := [name for name in names if name not in there and name not in later]:
            raise UsageError(f"Columns are missing: {', '.join(missing)}.", self.file)

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[Path]:
        """Yield the path of the file; errors in reading it become those of `read`."""
        path = folder / self.file
        if not path.is_file():
            raise UsageError(
                f"There is no {self.file}.", folder, "Run `build`, or the stage that writes it, first."
            )
        with _damage_named(path):
            yield path

    def _read(self, path: Path, columns: list[str] | None) -> gpd.GeoDataFrame | pd.DataFrame:
        absent = {c for c in self.columns if c.later} - self._present(path)
        there = (
            None if columns is None else [name for name in columns if name not in {c.name for c in absent}]
        )
        frame = (
            gpd.read_parquet(path, columns=there)
            if self.spatial and (there is None or "geometry" in there)
            else pd.read_parquet(path, columns=there)
        )
        asked = [c for c in self.columns if columns is None or c.name in columns]
        if missing := [c.name for c in asked if c.name not in frame and c not in absent]:
            raise UsageError(f"Columns are missing: {', '.join(missing)}.", path)
        if not absent.intersection(asked):
            return frame
        for column in absent.intersection(asked):
            frame[column.name] = pa.nulls(len(frame), column.type).to_pandas()
        return frame[[c.name for c in asked]]

    def read_arrow(self, folder: Path) -> pa.Table:
        """The whole table as Arrow, with geometry as WKB; columns that are newer than the file become nulls."""
        table = pq.read_table(folder / self.file)
        return self.arrow({name: table[name] for name in table.column_names if name in self.schema.names})

    def parts(self, folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of the table as Arrow, one row group at a time; see `read_arrow`.

        Args:
            folder: the folder of the file.
            columns: names of columns, at least one that every version writes; None for all.

        Raises:
            DamagedError: the file cannot be read.
        """
        asked, path = self.schema.names if columns is None else columns, folder / self.file
        with _damage_named(path), pq.ParquetFile(path) as file:
            there = [name for name in asked if name in file.schema_arrow.names]
            for k in range(file.num_row_groups):
                rows = file.read_row_group(k, columns=there)
                yield self.arrow({name: rows[name] for name in there}).select(asked)

    def extent(self, folder: Path) -> Extent:
        """The extent of the geometries of the file in ``folder``: as it states itself, else from the geometries."""
        stated = extent_stated(pq.read_metadata(folder / self.file).metadata)
        if stated is not None:
            return stated
        parts = (extent_of_wkb(rows["geometry"]) for rows in self.parts(folder, ["geometry"]))
        return reduce(or_, parts, NOWHERE)

    def _present(self, path: Path) -> set[Column]:
        """The columns that a file has."""
        names = set(pq.read_schema(path).names)
        return {column for column in self.columns if column.name in names}


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Raise DamagedError for the various errors of libraries that read a damaged file."""
    try:
        yield
    except (BuildError, PermissionError):
        raise
    except Exception as error:
        if fault := fault_of(error, path):
            raise fault from error
        raise DamagedError(f"The table cannot be read ({type(error).__name__}: {error}).", path) from error


def _plans_told(schema: pa.Schema) -> tuple[str, ...]:
    return tuple((schema.metadata or {}).get(_PLANS.encode(), b"").decode().split())


def _array(values: Any, column: Column) -> pa.Array | pa.ChunkedArray:  # noqa: ANN401
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(column.type or pa.binary())
    if column.type is GEOMETRY:
        return pa.array(shapely.to_wkb(np.asarray(values, object)), pa.binary())
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype | pd.StringDtype):
        return pa.Array.from_pandas(values).cast(column.type)  # no detour through Python objects
    if isinstance(values, np.ndarray) and values.dtype != object:
        return pa.array(values).cast(column.type)
    return pa.array(list(values), type=column.type, from_pandas=True)


def _row_groups(parts: Iterable[pa.Table], schema: pa.Schema, size: int) -> Iterator[pa.Table]:
    """The rows of all parts in pieces of one row group, at least one, so that only one at a time is copied."""
    waiting = [schema.empty_table()]
    count = 0
    for part in parts:
        waiting.append(part.cast(schema))
        count += len(part)
        while count > size:  # the last group is kept, as it may be the only one, and empty
            rows = pa.concat_tables(waiting)
            yield rows.slice(0, size).combine_chunks()
            waiting, count = [rows.slice(size)], count - size
    yield pa.concat_tables(waiting).combine_chunks()
