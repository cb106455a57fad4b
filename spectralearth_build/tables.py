"""The tables of a dataset: names, columns, types and meaning, each said once.

Documentation, validation and the files themselves all come from here. Tables with a ``geometry`` are GeoParquet
in EPSG:4326 (longitude, latitude), split where they cross the antimeridian.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from spectralearth_build.errors import UsageError
from spectralearth_build.files import replacing

_TIME = pa.timestamp("us", tz="UTC")
_TEXTS = pa.list_(pa.string())
_DOUBLES = pa.list_(pa.float64())
ROW_GROUP = 1 << 17
"""Rows that are written, and can be read, together."""
KINDS = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
"""What GeoParquet calls the types that shapely numbers."""
GEOMETRY = None
"""Stands for the type of a geometry column: WKB, described as GeoParquet asks."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: pa.DataType | None
    """Arrow type; None for the geometry."""
    meaning: str
    """What it says, with unit."""


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
        """A (geo) data frame with exactly this table's columns and types; absent values become nulls."""
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
        """An Arrow table with exactly this table's columns and types; absent columns are null.

        Args:
            rows: columns of values; the geometry as shapes, or as WKB in an Arrow array.
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

    def write(self, rows: pd.DataFrame | pa.Table, folder: Path) -> Path:
        """Write the table into ``folder``, atomically and with the same bytes for the same rows.

        Args:
            rows: a data frame, or a table as of `arrow`.
            folder: where the file goes.
        """
        path = folder / self.file
        table = rows if isinstance(rows, pa.Table) else self.arrow(rows)
        schema = self.schema.with_metadata(_geo(table["geometry"]) if self.spatial else None)
        with (
            replacing(path) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for part in _parts(table):
                writer.write_table(part.cast(schema), row_group_size=ROW_GROUP)
        return path

    def read(self, folder: Path, columns: list[str] | None = None) -> gpd.GeoDataFrame | pd.DataFrame:
        """Read the table from ``folder``.

        Raises:
            UsageError: the file is missing or lacks columns.
        """
        path = folder / self.file
        if not path.is_file():
            raise UsageError(
                f"There is no {self.file}.", folder, "Run the stage that writes it, or `build`, first."
            )
        frame = (
            gpd.read_parquet(path, columns=columns)
            if self.spatial and (columns is None or "geometry" in columns)
            else pd.read_parquet(path, columns=columns)
        )
        missing = [
            c.name for c in self.columns if c.name not in frame and (columns is None or c.name in columns)
        ]
        if missing:
            raise UsageError(f"Columns are missing: {', '.join(missing)}.", path)
        return frame


def _array(values: Any, column: Column) -> pa.Array | pa.ChunkedArray:  # noqa: ANN401
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(column.type or pa.binary())
    if column.type is GEOMETRY:
        return pa.array(shapely.to_wkb(np.asarray(values, object)), pa.binary())
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype | pd.StringDtype):
        return pa.Array.from_pandas(values).cast(column.type)  # no detour over Python objects
    if isinstance(values, np.ndarray) and values.dtype != object:
        return pa.array(values).cast(column.type)
    return pa.array(list(values), type=column.type, from_pandas=True)


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """The table in pieces of one row group each, so that little more than one is copied; at least one."""
    for start in range(0, max(1, len(table)), ROW_GROUP):
        yield table.slice(start, ROW_GROUP).combine_chunks()


def _geo(geometry: pa.ChunkedArray) -> dict[str, str]:
    """What GeoParquet 1.0 wants to know of a column of WKB."""
    kinds, boxes = set[str](), list[Any]()
    for start in range(0, len(geometry), ROW_GROUP):
        shapes = shapely.from_wkb(geometry.slice(start, ROW_GROUP).drop_null().to_numpy())
        kinds.update(KINDS[kind] for kind in np.unique(shapely.get_type_id(shapes)))
        if shapes.size:  # some versions of shapely refuse to bound nothing
            boxes.append(shapely.box(*shapely.total_bounds(shapes)))
    crs = CRS(4326).to_json_dict()
    for member in crs["datum_ensemble"]["members"]:
        member.pop("id", None)  # as geopandas does: older PROJ cannot read it
    about: dict[str, Any] = {"encoding": "WKB", "crs": crs, "geometry_types": sorted(kinds)}
    bounds = shapely.total_bounds(boxes).tolist() if boxes else [np.nan]
    if np.isfinite(bounds).all():
        about["bbox"] = bounds
    geo = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": about}}
    return {"geo": json.dumps(geo)}


STATUSES = ("used", "unused", "superseded", "duplicate", "rejected", "quarantined")
"""Fates of a product; every product found has exactly one."""

TILES = Table(
    "tiles.parquet",
    "Every product found, with its fate.",
    (
        Column(
            "product_id",
            pa.string(),
            "Full product name, ENMAP01-____L2A-DT...Z; for unreadable names the path.",
        ),
        Column("tile_id", pa.string(), "Datatake and tile, DT0000001849_005, whatever the version."),
        Column("datatake", pa.string(), "DT0000001849; all its tiles count as one date."),
        Column("tile", pa.int32(), "Tile number inside the datatake, from 1."),
        Column("version", pa.string(), "Processor version, V010402."),
        Column("processed", _TIME, "Processing time."),
        Column("acquired", _TIME, "Start of the tile's acquisition, UTC."),
        Column("epsg", pa.int32(), "Lattice of the raster: 326xx or 327xx."),
        Column(
            "lattice_col", pa.int32(), "Column of the raster's upper-left pixel: x = 15 + 30 lattice_col."
        ),
        Column("lattice_row", pa.int32(), "Row of the raster's upper-left corner: y = 15 + 30 lattice_row."),
        Column("height", pa.int32(), "Lines of the raster."),
        Column("width", pa.int32(), "Columns of the raster."),
        Column("path", pa.string(), "Path below the archive; members of an archive behind '!'."),
        Column("status", pa.string(), "used, unused, superseded, duplicate, rejected or quarantined."),
        Column("reason", pa.string(), "Why it is not used, in words; empty when used."),
        Column("error_class", pa.string(), "Class of the problem, empty when there is none."),
        Column(
            "eligible",
            pa.bool_(),
            "Sound, unique, and newest or in the dataset already: planning may use it. Set by scan only.",
        ),
        Column(
            "fingerprint",
            pa.string(),
            "Hash of what scan read of the product: metadata, band table and mask.",
        ),
        Column(
            "mask", pa.string(), "Path of the tile's mask below the dataset; empty: the geometry is the mask."
        ),
        Column("valid_fraction", pa.float64(), "Pixels with data in every kept band / pixels of the raster."),
        Column("cloud_cover", pa.float64(), "Percent of the tile under cloud, from its metadata."),
        Column("haze_cover", pa.float64(), "Percent under haze."),
        Column("cirrus_cover", pa.float64(), "Percent under cirrus."),
        Column("snow_cover", pa.float64(), "Percent under snow."),
        Column("water_cover", pa.float64(), "Percent water."),
        Column("sun_elevation", pa.float64(), "Sun elevation at the centre, degrees."),
        Column("sun_azimuth", pa.float64(), "Sun azimuth at the centre, degrees."),
        Column("off_nadir", pa.float64(), "Across-track off-nadir angle at the centre, degrees."),
        Column("overall_quality", pa.int32(), "0 nominal, 1 reduced, 2 low."),
        Column(
            "band_index",
            pa.list_(pa.int32()),
            "For each of the 202 kept bands, its 0-based band in the raster.",
        ),
        Column("wavelength_nm", _DOUBLES, "Actual centre wavelength of the 202 kept bands, nm."),
        Column("fwhm_nm", _DOUBLES, "Actual full width at half maximum of the 202 kept bands, nm."),
        Column(
            "band_deviation_nm",
            pa.float64(),
            "Largest distance of a kept band from its nominal wavelength, nm.",
        ),
        Column("geometry", GEOMETRY, "Footprint: hull of the pixels inside the swath."),
    ),
)

OVERLAPS = Table(
    "overlaps.parquet",
    "Edges of the overlap graph: tiles of different datatakes that share at least one window.",
    (
        Column("tile_a", pa.string(), "First tile, in order of tile_id."),
        Column("tile_b", pa.string(), "Second tile."),
        Column("component", pa.int64(), "Component both belong to."),
        Column("windows", pa.int64(), "Windows that lie wholly in both and are clear in both."),
        Column("area_km2", pa.float64(), "Ground that both footprints cover, square kilometres."),
    ),
)

TUPLES = Table(
    "tuples.parquet",
    "Maximal n-tuples: sets of datatakes that are the full cover of at least one anchor.",
    (
        Column("component", pa.int64(), "Component of the overlap graph."),
        Column("epsg", pa.int32(), "Lattice of the anchors."),
        Column("n", pa.int32(), "Number of datatakes."),
        Column("datatakes", _TEXTS, "The datatakes, sorted."),
        Column("tiles", _TEXTS, "Tiles of these datatakes that reach the area, sorted."),
        Column("windows", pa.int64(), "Anchors with exactly this cover."),
        Column("area_km2", pa.float64(), "windows times 0.0009 square kilometres."),
        Column("geometry", GEOMETRY, "Where the centres of these windows lie."),
    ),
)

LOCATIONS = Table(
    "locations.parquet",
    "Chosen windows; no two overlap.",
    (
        Column("location_id", pa.string(), "epsg_col_row of the window's upper-left corner."),
        Column("epsg", pa.int32(), "Lattice: the UTM zone of the window's centre."),
        Column("lattice_col", pa.int32(), "x = 15 + 30 lattice_col metres at the window's west edge."),
        Column(
            "lattice_row", pa.int32(), "y = 15 + 30 lattice_row metres at its north edge; grows to the north."
        ),
        Column("n", pa.int32(), "Number of dates (patches that are planned or written)."),
        Column("component", pa.int64(), "Component of the overlap graph."),
        Column("geometry", GEOMETRY, "The window on the ground."),
    ),
)

PATCHES = Table(
    "patches.parquet",
    "A location at one datatake: one row of the store each.",
    (
        Column("patch_id", pa.string(), "location_id and datatake; unique among rows that are not retired."),
        Column("location_id", pa.string(), "The location."),
        Column("tile_id", pa.string(), "The tile that gives most of the pixels; its task writes the patch."),
        Column("sources", _TEXTS, "Tiles that give pixels, in order of precedence."),
        Column("datatake", pa.string(), "The date's datatake."),
        Column("acquired", _TIME, "Start of the tile's acquisition, UTC."),
        Column("store_row", pa.int64(), "Row in store.zarr."),
        Column("shard", pa.int64(), "Shard of that row: store_row // rows per shard."),
        Column("generation", pa.int32(), "Which growth of the dataset it came with, from 0; see plan.json."),
        Column(
            "status",
            pa.string(),
            "planned, written, skipped or retired (cut again from a newer version of a tile).",
        ),
        Column("reason", pa.string(), "Why it was skipped or retired; empty otherwise."),
        Column("cloud_fraction", pa.float64(), "Share of the window's pixels under cloud, 0-1."),
        Column("shadow_fraction", pa.float64(), "Share in cloud shadow."),
        Column("haze_fraction", pa.float64(), "Share under haze."),
        Column("cirrus_fraction", pa.float64(), "Share under cirrus of any thickness."),
        Column("snow_fraction", pa.float64(), "Share under snow."),
        Column("water_fraction", pa.float64(), "Share of water."),
        Column(
            "resampled",
            pa.bool_(),
            "Some pixels come from a tile of another UTM zone, by bilinear resampling.",
        ),
    ),
)

QUARANTINE = Table(
    "quarantine.parquet",
    "Products that are damaged, by cause: the most frequent first.",
    (
        Column("error_class", pa.string(), "Class of the problem."),
        Column("cause", pa.string(), "What the class means."),
        Column("stage", pa.string(), "scan or cut: where it showed."),
        Column("tile_id", pa.string(), "Tile, if the product's name says it."),
        Column("product_id", pa.string(), "Product; for unreadable names the path."),
        Column("path", pa.string(), "Path below the archive; members of an archive behind '!'."),
        Column("reason", pa.string(), "What was found and what was expected."),
        Column("remedy", pa.string(), "What to do about it."),
    ),
)

SPLITS = Table(
    "splits.parquet",
    "The part of each patch, where `split` has made parts.",
    (
        Column("patch_id", pa.string(), "The patch, of those that are planned or written."),
        Column("location_id", pa.string(), "Its location."),
        Column("split", pa.string(), "Its part, such as train, val or test; empty if it is in none."),
        Column("reason", pa.string(), "Why it is in none; empty otherwise."),
    ),
)

ALL = (TILES, OVERLAPS, TUPLES, LOCATIONS, PATCHES, QUARANTINE, SPLITS)
