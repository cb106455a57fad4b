"""Reading of a finished dataset: its tables, and its patches as labelled arrays.

Queries use only the tables and the R-tree. Only `Dataset.patch` and `Dataset.series` read pixels, one chunk per patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.arguments import names, number, whole
from spectralearth_build.columns import Table
from spectralearth_build.dataset import select
from spectralearth_build.dataset import tables_copy as remote
from spectralearth_build.dataset.consistency import ConsistencyCheck
from spectralearth_build.dataset.read_errors import told
from spectralearth_build.dataset.select import Date, TimeRange
from spectralearth_build.errors import DamagedError, UsageError, require_utf8
from spectralearth_build.layout import MANIFEST, REFLECTANCE, ROOT, STORE, PatchStatus, shard_name
from spectralearth_build.overlap.lattice import NODATA, window_of
from spectralearth_build.storage import attach
from spectralearth_build.storage.url import Remote, parse
from spectralearth_build.store.index import Bounds
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

if TYPE_CHECKING:  # zarr and xarray are imported when pixels are read: queries on tables do without them
    import xarray as xr
    import zarr


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
        return self.read(PATCHES)

    @cached_property
    def store(self) -> zarr.Group:
        """The Zarr group, in which `reflectance` is int16 [row, band, y, x]."""
        import zarr

        from spectralearth_build.store import codec  # noqa: F401  # registers its codecs with zarr

        place = self._place
        with told(self.path, place):
            group = zarr.open_group(
                remote.zarr_store(place / STORE) if place else self.path / STORE, mode="r"
            )
        if place:
            self.consistency.require_table(PATCHES, str(group.attrs.get("plan", "")))
        return group

    @property
    def nominal_nm(self) -> npt.NDArray[np.float64]:
        """Nominal centre wavelengths [band], nm."""
        return self._values("wavelength_nm", slice(None))

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
            columns: columns to read and return. Several times faster on a large dataset than reading all.

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
        patches = self._patches_with(columns, [] if split is None else ["patch_id"])
        found = patches[patches["status"] == PatchStatus.WRITTEN]
        if split is not None:
            found = found[select.part(found, self.path, split)]
        if bbox is not None:
            near = select.within(self.locations, self.path, bbox)
            found = found[found["location_id"].isin(near)]
        if time is not None:
            found = found[select.during(found["acquired"], time)]
        if max_cloud is not None:
            found = found[found["cloud_fraction"] <= number("max_cloud", max_cloud, 0, 1)]
        if min_dates > 1:
            code, _ = pd.factorize(found["location_id"])
            found = found[np.bincount(code, minlength=1)[code] >= min_dates]
        return found if columns is None else found[columns]

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
        chosen = rows[select.on(rows, date)]
        if len(chosen) != 1:
            what = "no patch" if chosen.empty else f"{len(chosen)} patches (name the datatake)"
            known = ", ".join(f"{r.datatake} {r.acquired:%Y-%m-%d}" for r in rows.itertuples())
            raise UsageError(f"{location} has {what} on {date}.", self.path, f"It has: {known}.")
        return self._series(chosen).isel(date=0).pipe(_as_patch)

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
        return self._series(self._written(location))

    def _patches_with(self, columns: Sequence[str] | None, more: list[str]) -> pd.DataFrame:
        """Return the patches with at least these columns and those that conditions need; None: all."""
        if columns is None or "patches" in self.__dict__:
            return self.patches
        return self.read(PATCHES, list(dict.fromkeys([*columns, *more, *select.NEEDED])))

    def _written(self, location: str) -> pd.DataFrame:
        if not isinstance(location, str):
            raise UsageError(
                f"location must be a string; got {location!r}.",
                self.path,
                "Use a location_id of `dataset.locations`.",
            )
        rows = self.patches[
            (self.patches["location_id"] == location) & (self.patches["status"] == PatchStatus.WRITTEN)
        ]
        if rows.empty:
            raise UsageError(
                f"No written patch at location '{location}'.",
                self.path,
                "Use a location_id of `dataset.locations`.",
            )
        return rows.sort_values(["acquired", "datatake"])

    def _series(self, rows: pd.DataFrame) -> xr.DataArray:
        """Return pixels and metadata of patches of one location."""
        import xarray as xr

        from spectralearth_build.store.schema import SCALE

        place = self.locations.set_index("location_id").loc[rows["location_id"].iloc[0]]
        values = self._read(rows["store_row"].to_numpy())
        tile = self._values("tile_index", rows["store_row"].to_numpy())
        x, y = window_of(place["lattice_row"], place["lattice_col"]).centres
        along = ("patch_id", "tile_id", "datatake", "cloud_fraction", "resampled")
        coords = {
            "date": rows["acquired"].dt.tz_localize(None).to_numpy(),
            "wavelength_nm": (("date", "band"), self._values("tile_wavelength_nm", tile)),
            "fwhm_nm": (("date", "band"), self._values("tile_fwhm_nm", tile)),
            "y": y,
            "x": x,
            **{name: ("date", rows[name].to_numpy()) for name in along},
        }
        attributes = {
            "crs": f"EPSG:{place['epsg']}",
            "location_id": str(place.name),
            "scale": SCALE,
            "nodata": NODATA,
        }
        return xr.DataArray(values, coords, ("date", "band", "y", "x"), REFLECTANCE, attributes)

    def read(self, table: Table, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table of this dataset.

        Args:
            table: one of `spectralearth_build.tables`.
            columns: columns to read; None: all.

        Raises:
            UsageError: The table is missing or lacks columns.
            DamagedError: The table cannot be read, or belongs to another dataset.
        """
        if self._place is None:  # for an object store, the copies were compared with the manifest already
            self.consistency.require_table(table, str(self.store.attrs.get("plan", "")))
        return table.read(self.path, columns)

    def require_row(self, row: int, pixels: npt.NDArray[np.int16]) -> None:
        """Check that pixels [band, y, x] are those that the tables describe for a row of the store.

        Raises:
            DamagedError: They are not, because files of several datasets were mixed up.
        """
        shard, checksum = self._checksums.loc[row]
        self.consistency.require(shard_name(int(shard)), row, checksum, pixels)

    @cached_property
    def consistency(self) -> ConsistencyCheck:
        """Checks that the files of the dataset belong together."""
        return ConsistencyCheck(self.path, self._place)

    @property
    def _place(self) -> Remote | None:
        """Location of the store, if it is on an object store."""
        mirrored = attach.at(self.path.absolute())
        return self.remote or (mirrored.remote if mirrored else None)

    def _values(self, name: str, rows: npt.NDArray[np.int64] | slice) -> npt.NDArray[Any]:
        """Read rows of an array of the store."""
        with told(self.path, self._place):
            array = self.store[name]
            return np.asarray(cast("zarr.Array[Any]", array).oindex[rows])

    def _read(self, store_rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Read patches [row, band, y, x]. A missing shard reads as nodata, but a written patch never is all nodata."""
        values = np.asarray(self._values(REFLECTANCE, store_rows), dtype=np.int16)
        lost = (values[:, 0] == NODATA).all(axis=(1, 2))
        if lost.any():
            raise DamagedError(
                f"Rows of the store are missing: {', '.join(map(str, store_rows[lost]))}.", self.path
            )
        for row, pixels in zip(store_rows.tolist(), values, strict=True):
            self.require_row(row, pixels)
        return values

    @cached_property
    def _checksums(self) -> pd.DataFrame:
        return self.patches.set_index("store_row")[["shard", "checksum"]]


def _as_patch(single: xr.DataArray) -> xr.DataArray:
    """Convert a series of one date to a patch. Coordinates along the date become attributes."""
    names = ("patch_id", "tile_id", "datatake", "cloud_fraction", "resampled")
    acquired = np.datetime_as_string(single["date"].to_numpy(), unit="s")
    attributes = {name: single[name].item() for name in names} | {"acquired": f"{acquired}Z"}
    return single.drop_vars(["date", *names]).assign_attrs(attributes)
