"""Tables of a dataset: columns with type and meaning, and how tables are written to and read from files.

Documentation, validation and files all follow these definitions. Tables with a ``geometry`` are GeoParquet
in EPSG:4326 (longitude, latitude), with geometries split at the antimeridian.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from spectralearth_build.errors import BuildError, DamagedError, UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.files import replacing

ROW_GROUP = 1 << 17
"""Rows of a Parquet row group."""
KINDS = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
"""GeoParquet's names of shapely's geometry types, by shapely's type id."""
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
        path = folder / self.file
        with replacing(path) as temporary:
            self._write(rows, temporary, plans)
        return path

    def stream(
        self,
        batches: Iterable[pa.RecordBatch],
        path: Path,
        plans: Sequence[str] = (),
        geometry: Iterable[pa.Array] = (),
    ) -> None:
        """Write what `write` would write, one row group at a time.

        Args:
            batches: the rows, in order, with all columns.
            path: path of the new file.
            plans: ids of the plan generations that the table belongs to, oldest first.
            geometry: all geometries as WKB, once more: what the file says of them comes first.
        """
        with replacing(path) as temporary:
            self._write_parts(_groups(batches, self.schema), temporary, plans, geometry)

    def encode(self, rows: pd.DataFrame | pa.Table, plans: Sequence[str] = ()) -> bytes:
        """The bytes that `write` writes."""
        buffer = pa.BufferOutputStream()
        self._write(rows, buffer, plans)
        return bytes(buffer.getvalue().to_pybytes())

    def of_before(self, data: bytes) -> bytes:
        """The file ``data`` as earlier versions wrote it: without later columns and without plan ids."""
        early = replace(self, columns=tuple(column for column in self.columns if not column.later))
        return early.encode(pq.read_table(pa.BufferReader(data)).select([c.name for c in early.columns]))

    def plans_of(self, folder: Path) -> tuple[str, ...]:
        """Ids of the plan generations that the file in ``folder`` belongs to; empty if it names none."""
        try:
            told = (pq.read_schema(folder / self.file).metadata or {}).get(_PLANS.encode(), b"")
        except (OSError, ValueError):  # missing or damaged: reported when the table is read
            return ()
        return tuple(told.decode().split())

    def _write(
        self, rows: pd.DataFrame | pa.Table, target: Path | pa.NativeFile, plans: Sequence[str]
    ) -> None:
        table = rows if isinstance(rows, pa.Table) else self.arrow(rows)
        pieces = range(0, len(table) if self.spatial else 0, ROW_GROUP)
        geometry = (table["geometry"].slice(at, ROW_GROUP) for at in pieces)
        self._write_parts(_parts(table), target, plans, geometry)

    def _write_parts(
        self,
        parts: Iterable[pa.Table],
        target: Path | pa.NativeFile,
        plans: Sequence[str],
        geometry: Iterable[pa.Array | pa.ChunkedArray],
    ) -> None:
        """Write row groups; the metadata, which comes first, needs all geometries."""
        about = _geo(geometry) if self.spatial else {}
        if plans:
            about[_PLANS] = " ".join(plans)
        schema = self.schema.with_metadata(about or None)
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for part in parts:
                writer.write_table(part.cast(schema), row_group_size=ROW_GROUP)

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
            for batch in file.iter_batches(ROW_GROUP, columns=[c.name for c in asked if c.name in there]):
                arrays = [
                    batch[field.name].cast(field.type)
                    if field.name in there
                    else pa.nulls(len(batch), field.type)
                    for field in schema
                ]
                yield pa.record_batch(arrays, schema=schema)

    @contextmanager
    def opened(self, folder: Path) -> Iterator[pq.ParquetFile]:
        """Open the file in ``folder`` to read some of it. Errors of reading are those of `read`."""
        with self._opened(folder) as path, pq.ParquetFile(path) as file:
            yield file

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
        try:
            yield path
        except (BuildError, PermissionError):
            raise
        except Exception as error:  # libraries raise various errors on a damaged file
            if fault := fault_of(error, path):
                raise fault from error
            raise DamagedError(
                f"The table cannot be read ({type(error).__name__}: {error}).", path
            ) from error

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

    def _present(self, path: Path) -> set[Column]:
        """The columns that a file has."""
        names = set(pq.read_schema(path).names)
        return {column for column in self.columns if column.name in names}


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


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """The table in pieces of one row group, at least one, so that only one at a time is copied."""
    for start in range(0, max(1, len(table)), ROW_GROUP):
        yield table.slice(start, ROW_GROUP).combine_chunks()


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Rows in tables of one row group each, at least one table."""
    waiting, some = schema.empty_table(), False
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch], schema)])
        while len(waiting) >= ROW_GROUP:
            yield waiting.slice(0, ROW_GROUP).combine_chunks()
            waiting, some = waiting.slice(ROW_GROUP), True
    if len(waiting) or not some:
        yield waiting.combine_chunks()


def _geo(geometry: Iterable[pa.Array | pa.ChunkedArray]) -> dict[str, str]:
    """GeoParquet 1.0 metadata of a WKB column, given in pieces."""
    kinds, boxes = set[str](), list[Any]()
    for piece in geometry:
        shapes = shapely.from_wkb(piece.drop_null().to_numpy(zero_copy_only=False))
        kinds.update(KINDS[kind] for kind in np.unique(shapely.get_type_id(shapes)))
        if shapes.size:  # some versions of shapely fail on no geometries
            boxes.append(shapely.box(*shapely.total_bounds(shapes)))
    crs = CRS(4326).to_json_dict()
    for member in crs["datum_ensemble"]["members"]:
        member.pop("id", None)  # as geopandas does, since older PROJ cannot read it
    about: dict[str, Any] = {"encoding": "WKB", "crs": crs, "geometry_types": sorted(kinds)}
    bounds = shapely.total_bounds(boxes).tolist() if boxes else [np.nan]
    if np.isfinite(bounds).all():
        about["bbox"] = bounds
    geo = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": about}}
    return {"geo": json.dumps(geo)}
