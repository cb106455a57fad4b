"""Reading of a finished dataset: its tables, and its patches as labelled arrays.

Opening reads no table. Queries read the columns and row groups of the tables that they need. Only `Dataset.patch` and
`Dataset.series` read pixels, one chunk per patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.arguments import names, whole
from spectralearth_build.columns import Table
from spectralearth_build.dataset import select
from spectralearth_build.dataset import tables_copy as remote
from spectralearth_build.dataset.consistency import ConsistencyCheck
from spectralearth_build.dataset.outlines import Flags, Outlines, surely_all
from spectralearth_build.dataset.select import Date, TimeRange
from spectralearth_build.dataset.snapshot import Snapshot
from spectralearth_build.dataset.table_rows import ROW, TableRows
from spectralearth_build.errors import BuildError, UsageError, require_utf8
from spectralearth_build.layout import MANIFEST, REFLECTANCE, ROOT, PatchStatus, shard_name
from spectralearth_build.overlap.lattice import NODATA, window_of
from spectralearth_build.storage import attach
from spectralearth_build.storage.url import Remote, parse
from spectralearth_build.store.index import Bounds
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

if (
    TYPE_CHECKING
):  # zarr and xarray are imported when the store is opened: opening a dataset does without them
    import xarray as xr
    import zarr

    from spectralearth_build.dataset.pixels import StoredPixels

ALONG = {
    "patch_id": object,
    "tile_id": object,
    "datatake": object,
    "cloud_fraction": np.float64,
    "resampled": None,
}
"""What an array of patches says of each of them, with the type along ``date``; None: numpy decides."""
OF_PATCH = (*ALONG, "acquired", "status", "store_row", "shard", "checksum")
"""Columns that reading a patch needs."""


def open_dataset(path: str | Path) -> Dataset:
    """Open a finished dataset for reading.

    Args:
        path: folder of the dataset, or its URL (s3://, gs://, az://, file://). For an object store, tables are copied
            into the user's cache, and pixels are read directly.

    Raises:
        UsageError: The dataset does not exist or is unfinished, or its path is not UTF-8.
        StorageError: The object store refuses access or does not respond.

    Examples:
        >>> dataset = open_dataset(folder)
        >>> clear = dataset.query(bbox=(5, 45, 16, 48), max_cloud=0.03, min_dates=2)
        >>> dataset.series(clear["location_id"].iloc[0]).dims
        ('date', 'band', 'y', 'x')
    """
    folder = parse(str(path))
    if isinstance(folder, Remote):
        return Dataset(remote.copied_tables(folder), folder)
    require_utf8(folder)
    if not folder.is_dir():
        raise UsageError(
            "The folder does not exist.",
            folder,
            "Check the path, or run `spectralearth-build build ARCHIVE DATASET`.",
        )
    for needed in (MANIFEST, ROOT):
        if not (folder / needed).is_file():
            raise UsageError(
                f"The dataset is unfinished: {needed} is missing.",
                folder,
                "Run `build ARCHIVE DATASET` to complete it.",
            )
    return Dataset(folder)


@dataclass(frozen=True)
class Dataset:
    """Tables and pixels of one finished dataset, made by `open_dataset`.

    Data frames are read at the first use and then shared, so copy one before you change it.
    """

    path: Path
    """Folder of the dataset or, for an object store, the local folder to which its tables were copied."""
    remote: Remote | None = None
    """Location of the pixels, if they are not in the folder."""

    def __reduce__(self) -> tuple[Any, ...]:  # what was read stays behind
        return Dataset, (self.path, self.remote)

    @cached_property
    def tiles(self) -> gpd.GeoDataFrame:
        """Every product found, with its status (columns: `spectralearth_build.tables.TILES`)."""
        return self.read(TILES)

    @cached_property
    def locations(self) -> gpd.GeoDataFrame:
        """The chosen windows, with footprints in longitude and latitude (`tables.LOCATIONS`)."""
        return self.read(LOCATIONS)

    @cached_property
    def patches(self) -> pd.DataFrame:
        """Every planned patch, including skipped and retired ones (`tables.PATCHES`)."""
        _ = self._files  # queries then read the same rows
        return self.read(PATCHES)

    @property
    def store(self) -> zarr.Group:
        """The Zarr group, in which `reflectance` is int16 [row, band, y, x]."""
        return self._pixels.group

    @property
    def nominal_nm(self) -> npt.NDArray[np.float64]:
        """Nominal centre wavelengths [band], nm."""
        return self._pixels.values("wavelength_nm")

    @property
    def splits(self) -> list[str]:
        """Names of the splits, in alphabetical order; empty if there are none."""
        return select.split_names(self.path)

    def query(
        self,
        bbox: Bounds | None = None,
        time: TimeRange | None = None,
        min_dates: int = 1,
        max_cloud: float | None = None,
        split: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the written patches that meet all conditions, in the order of ``patches``.

        Args:
            bbox: west, south, east, north in degrees. Windows that intersect it are selected. A box with west > east
                crosses the antimeridian.
            time: start (inclusive) and end (exclusive); either may be None. Times without a time zone are UTC.
            min_dates: select only locations with at least this many patches that meet the other conditions.
            max_cloud: maximum cloud fraction of a patch, 0-1.
            split: name of a split, such as "train".
            columns: columns to read and return; None: all. Fewer are faster.

        Raises:
            UsageError: A condition is invalid, or the dataset has no splits.

        Examples:
            >>> summer = dataset.query(time=("2024-06-01", "2024-09-01"), min_dates=2)
            >>> summer["location_id"].unique().tolist()
            ['32632_20000_174000']
        """
        if columns is not None:
            columns = names("columns", columns, [column.name for column in PATCHES.columns])
        min_dates = whole("min_dates", min_dates)
        touched = None if bbox is None else self._touched(select.halves(bbox))
        condition, conditioned = select.written(time, max_cloud)
        keys = ["patch_id"] if split is not None else []
        keys += ["location_id"] if split is not None or min_dates > 1 or touched is not None else []
        found = self._patch_rows.where([*keys, *conditioned], condition)
        if split is not None:
            every = partial(self._patch_rows.where, [*keys, "status"], select.written(None, None)[0])
            found = found.filter(select.in_split(found, every, self.path, split))
        if touched is not None:
            found = found.filter(self._at(touched, found["location_id"]))
        if min_dates > 1:
            code = found["location_id"].combine_chunks().dictionary_encode().indices.to_numpy()
            found = found.filter(np.bincount(code, minlength=1)[code] >= min_dates)
        rows = found[ROW].to_numpy()
        if "patches" in self.__dict__:
            return self.patches.iloc[rows] if columns is None else self.patches[columns].iloc[rows]
        return self._patch_rows.frame(rows, columns)

    def patch(self, location: str, date: Date) -> xr.DataArray:
        """Read one patch: int16 [band, y, x], stored values (reflectance = ``scale`` x value).

        Args:
            location: location_id.
            date: a datatake (``DT0000001849``), a time, or a day (``2024-07-01``) with one patch.

        Returns:
            An array with coordinates ``wavelength_nm`` and ``fwhm_nm`` [band] of its tile, and ``x`` and ``y``, pixel
            centres in metres. Attributes include crs, acquired, scale, nodata, patch_id and tile_id.

        Raises:
            UsageError: The location or date does not exist, or there are several patches on that day.
            DamagedError: The shard of the patch is missing.

        Examples:
            >>> patch = dataset.patch("32632_20000_174000", "2022-07-03")
            >>> patch.shape, patch.attrs["crs"]
            ((202, 128, 128), 'EPSG:32632')
        """
        rows = self._written(location)
        chosen = select.on(rows, date)
        if len(chosen) != 1:
            what = f"{len(chosen)} patches (name the datatake)" if chosen else "no patch"
            known = ", ".join(f"{row['datatake']} {row['acquired']:%Y-%m-%d}" for row in rows)
            raise UsageError(f"{location} has {what} on {date}.", self.path, f"It has: {known}.")
        (row,) = chosen
        (wavelength,), (fwhm,) = self._pixels.bands([row["store_row"]])
        bands = {"wavelength_nm": ("band", wavelength), "fwhm_nm": ("band", fwhm)}
        about = {name: row[name] for name in ALONG} | {"acquired": f"{row['acquired']:%Y-%m-%dT%H:%M:%S}Z"}
        return self._labelled(self._pixels.patches(chosen)[0], location, bands, about)

    def series(self, location: str) -> xr.DataArray:
        """Read all patches of a location in chronological order: int16 [date, band, y, x].

        Coordinates are those of `patch`, with ``wavelength_nm`` and ``fwhm_nm`` [date, band] and, along ``date``,
        ``patch_id``, ``tile_id``, ``datatake``, ``cloud_fraction`` and ``resampled``.

        Raises:
            UsageError: The location does not exist.
            DamagedError: A shard is missing.

        Examples:
            >>> cube = dataset.series("32632_20000_174000")
            >>> (cube.isel(band=45) * cube.attrs["scale"]).dims
            ('date', 'y', 'x')
        """
        rows = self._written(location)
        wavelength, fwhm = self._pixels.bands([row["store_row"] for row in rows])
        coords = {
            "date": np.array([row["acquired"].replace(tzinfo=None) for row in rows], "datetime64[us]"),
            "wavelength_nm": (("date", "band"), wavelength),
            "fwhm_nm": (("date", "band"), fwhm),
            **{name: ("date", np.array([row[name] for row in rows], kind)) for name, kind in ALONG.items()},
        }
        return self._labelled(self._pixels.patches(rows), location, coords, {})

    def _touched(self, boxes: list[Bounds]) -> Flags | None:
        """Return which locations intersect any of some boxes, bool [location]; None: all."""
        if surely_all(self._files[LOCATIONS.file], boxes):
            return None
        touched = self._outlines.touched_by(boxes)
        return None if touched.all() else touched

    def _at(self, touched: Flags, location: pa.ChunkedArray) -> pa.Array:
        """Return which location_ids are those of touched locations; all are of the table, so the fewer decide."""
        few = touched.sum() <= len(touched) / 2
        named = self._location_ids.filter(pa.array(touched if few else ~touched)).combine_chunks()
        inside = pc.is_in(location, named)
        return inside if few else pc.invert(inside)

    def _written(self, location: str) -> list[dict[str, Any]]:
        """Return the written patches of a location in chronological order, with the columns `OF_PATCH`."""
        if not isinstance(location, str):
            raise UsageError(
                f"location must be a string; got {location!r}.",
                self.path,
                "Use a location_id of `dataset.locations`.",
            )
        rows = [row for row in self._patch_rows.find(location) if row["status"] == PatchStatus.WRITTEN]
        if not rows:
            raise UsageError(
                f"No written patch at location '{location}'.",
                self.path,
                "Use a location_id of `dataset.locations`.",
            )
        return sorted(rows, key=lambda row: (row["acquired"], row["datatake"]))

    def _labelled(
        self, values: npt.NDArray[np.int16], location: str, coords: dict[str, Any], about: dict[str, Any]
    ) -> xr.DataArray:
        """Return pixels [band, y, x] or [date, band, y, x] of a location as an array with coordinates."""
        import xarray as xr

        from spectralearth_build.store.schema import SCALE

        (place,) = self._location_rows.find(location)
        x, y = window_of(place["lattice_row"], place["lattice_col"]).centres
        attributes = {
            "crs": f"EPSG:{place['epsg']}",
            "location_id": location,
            "scale": SCALE,
            "nodata": NODATA,
        }
        dims = ("date", "band", "y", "x")[-values.ndim :]
        return xr.DataArray(values, coords | {"y": y, "x": x}, dims, REFLECTANCE, attributes | about)

    def read(self, table: Table, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table of this dataset.

        Args:
            table: one of `spectralearth_build.tables`.
            columns: columns to read; None: all.

        Raises:
            UsageError: The table is missing or lacks columns.
            DamagedError: The table cannot be read, or belongs to another dataset.
        """
        self._require_table(table)
        return table.read(self.path, columns)

    def require_row(self, row: int, pixels: npt.NDArray[np.int16]) -> None:
        """Check that pixels [band, y, x] are those that the tables describe for a row of the store.

        Raises:
            DamagedError: They are not, because files of several datasets were mixed up.
        """
        rows, shards, checksums = self._checksums
        at = int(np.searchsorted(rows, row))
        self.consistency.require(shard_name(int(shards[at])), row, checksums[at], pixels)

    @cached_property
    def consistency(self) -> ConsistencyCheck:
        """Checks that the files of the dataset belong together."""
        return ConsistencyCheck(self.path, self._place)

    @property
    def _place(self) -> Remote | None:
        """Location of the store, if it is on an object store."""
        mirrored = attach.at(self.path.absolute())
        return self.remote or (mirrored.remote if mirrored else None)

    def _require_table(self, table: Table) -> None:
        """Check that a table belongs to the store. Copies from an object store were compared with the manifest."""
        if self._place is None:
            self.consistency.require_table(table, str(self.store.attrs.get("plan", "")))

    @cached_property
    def _pixels(self) -> StoredPixels:
        from spectralearth_build.dataset.pixels import StoredPixels

        pixels = StoredPixels(self.path, self._place, self.consistency)
        if self._place:
            self.consistency.require_table(PATCHES, str(pixels.group.attrs.get("plan", "")))
        return pixels

    @cached_property
    def _files(self) -> dict[str, Snapshot]:
        """The tables of which rows are read, opened together: a build may replace them between two queries."""
        files = {table.file: Snapshot(table, self.path) for table in (PATCHES, LOCATIONS)}
        for file in files.values():
            with suppress(BuildError):  # raised when it is read
                _ = file.source
        return files

    @cached_property
    def _patch_rows(self) -> TableRows:
        self._require_table(PATCHES)
        return TableRows(self._files[PATCHES.file], "location_id", OF_PATCH)

    @cached_property
    def _location_rows(self) -> TableRows:
        self._require_table(LOCATIONS)
        known = ("epsg", "lattice_row", "lattice_col")
        return TableRows(self._files[LOCATIONS.file], "location_id", known)

    @cached_property
    def _location_ids(self) -> pa.ChunkedArray:
        return self._location_rows.where(["location_id"])["location_id"]

    @cached_property
    def _outlines(self) -> Outlines:
        self._require_table(LOCATIONS)
        return Outlines(self._files[LOCATIONS.file])

    @cached_property
    def _checksums(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Store row, shard and checksum of all patches, in order of rows."""
        found = self._patch_rows.where(["store_row", "shard", "checksum"]).sort_by("store_row")
        rows, shards, checksums = (found[name].to_numpy() for name in ("store_row", "shard", "checksum"))
        return rows, shards, checksums.astype(np.float64)
