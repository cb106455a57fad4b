"""Open and check rasters of labels, and read them window by window.

Any format that GDAL reads is supported, on disk or at a URL (https://, s3://, or a /vsi path), if the raster has one
band, a coordinate system and a type that suits its kind. Colour and attribute tables are ignored: names and colours
come from nomenclatures.
"""

from __future__ import annotations

import math
import re
import warnings
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.locate import cells, centres, places

Kind = Literal["categorical", "continuous"]
Values = npt.NDArray[Any]

_EARTH = 6_371_000.0
"""Radius of a spherical Earth, metres."""
_LOCAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "GTIFF_POINT_GEO_IGNORE": "NO",
}
"""GDAL options that keep everything outside the raster from changing what is read.

A sidecar file could change nodata or coordinate system, and is not hashed. Environment variables could read missing
blocks as zeros, or shift pixels by half a pixel.
"""
_REMOTE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""Timeouts, seconds, and retries for rasters at a URL; by default, GDAL waits for ever."""
_CODES = ("uint8", "int8", "uint16", "int16", "int32")
"""Types of categorical rasters."""


class LabelRaster:
    """An open raster of labels. Do not share it between threads or processes; opening is cheap."""

    kind: Kind
    name: str
    """Base name of the file; datasets name no more than that."""
    crs: CRS
    transform: Affine
    """Transform from column and line to x and y."""
    shape: tuple[int, int]
    """Lines and columns."""
    dtype: np.dtype[Any]
    """Type of the values read: that of the file for categorical rasters, float32 for continuous ones."""
    nodata: float
    """Value of pixels without data. NaN for continuous rasters. For categorical rasters, the integer in the file, or
    else the largest value of an unsigned type or the smallest value of a signed type."""

    def __init__(self, dataset: DatasetReader, path: str, kind: Kind | None) -> None:
        self.kind = kind or ("continuous" if np.dtype(dataset.dtypes[0]).kind == "f" else "categorical")
        self.name = PurePosixPath(_shown(path)).name
        self.transform, self.shape = dataset.transform, (dataset.height, dataset.width)
        self._dataset, self._path = dataset, path
        self._check()
        self.crs = _crs(dataset, path)
        self.dtype = np.dtype(dataset.dtypes[0] if self.kind == "categorical" else np.float32)
        self.nodata = math.nan if self.kind == "continuous" else _code_without_data(dataset)
        # A code for no data is kept as it is; only a separate mask must be read.
        tagged = MaskFlags.nodata if self.kind == "continuous" else MaskFlags.per_dataset
        self._masked = {tagged, MaskFlags.per_dataset} & set(dataset.mask_flag_enums[0])

    @property
    def metres(self) -> float:
        """Nominal edge of a pixel, metres: that of a square of the same area; for degrees, at the equator."""
        unit = self.crs.axis_info[0].unit_conversion_factor * (_EARTH if self.crs.is_geographic else 1)
        return float(math.sqrt(abs(self.transform.determinant)) * unit)

    def covers(self, epsg: int, west: float, north: float) -> bool:
        """Whether the centre of any pixel of a patch is in the raster, with or without data.

        Args:
            epsg: UTM zone of the patch.
            west: x of the patch's upper-left corner, metres.
            north: y of the patch's upper-left corner, metres.
        """
        height, width = self.shape
        found = (cells(*place, self.shape) for place in places(self, epsg, west, north, centres()))
        return any(((line >= 0) & (line < height) & (col >= 0) & (col < width)).any() for line, col in found)

    def read(self, lines: slice, cols: slice) -> Values:
        """Read pixels of a window inside the raster [line, col], of type ``dtype``, with ``nodata`` for no data.

        Raises:
            UsageError: the raster cannot be decoded.
        """
        window = Window.from_slices(lines, cols)
        try:
            with _environment(self._path):
                values = self._dataset.read(1, window=window)
                known = self._dataset.read_masks(1, window=window) > 0 if self._masked else None
        except RasterioError as error:
            raise _unreadable(self._path, error) from error
        if self.kind == "categorical":
            return np.asarray(
                values if known is None else np.where(known, values, self.dtype.type(self.nodata))
            )
        return self._quantities(values if known is None else np.where(known, values, np.nan))

    def _quantities(self, values: Values) -> Values:
        with np.errstate(over="ignore"):
            scaled = (values * self._dataset.scales[0] + self._dataset.offsets[0]).astype(np.float32)
        return np.where(np.isfinite(scaled), scaled, np.float32(np.nan))

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        dataset, path = self._dataset, _shown(self._path)
        if dataset.count != 1:
            raise UsageError(
                f"The raster has {dataset.count} bands; labels must have one.",
                path,
                "Write the band to use to its own file.",
            )
        if self.kind == "continuous" and np.dtype(dataset.dtypes[0]).kind not in "iuf":
            raise UsageError(
                f"The raster is {dataset.dtypes[0]}, not a real number.", path, "Convert it to float32."
            )
        if self.kind == "categorical" and dataset.dtypes[0] not in _CODES:
            raise UsageError(
                f"The raster is {dataset.dtypes[0]}; class codes must be one of {', '.join(_CODES)}.",
                path,
                "Convert it, or use --rule mean if its values are quantities.",
            )
        if self.transform.determinant == 0 or self.transform.is_identity:
            raise UsageError("The raster has no georeferencing.", path, "Write its transform into the file.")


def open_label_raster(path: str | Path, kind: Kind | None = None) -> LabelRaster:
    """Open a raster of labels; the result is a context manager.

    Args:
        path: file or URL in the form that rasterio accepts.
        kind: categorical for class codes, continuous for quantities; None: by the type of the file, integer or
            float. Integers may be continuous, such as percent of tree cover; scale and offset are then applied.

    Raises:
        UsageError: it cannot be opened, or has several bands, no coordinate system, or an unsuitable type.
    """
    text = str(path)
    try:
        with warnings.catch_warnings(), _environment(text):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = rasterio.open(text)
    except RasterioError as error:
        raise _unreadable(text, error) from error
    try:
        return LabelRaster(dataset, text, kind)
    except BaseException:
        dataset.close()
        raise


def _environment(path: str) -> AbstractContextManager[object]:
    options: AbstractContextManager[object] = rasterio.Env(**_LOCAL, **(_REMOTE if _is_remote(path) else {}))
    return options


def _is_remote(path: str) -> bool:
    return "://" in path or path.startswith("/vsi")


def _crs(dataset: DatasetReader, path: str) -> CRS:
    remedy = "Write the coordinate system into the file, such as EPSG:3035."
    if not dataset.crs:
        raise UsageError("The raster has no coordinate system.", _shown(path), remedy)
    try:
        crs = CRS.from_wkt(dataset.crs.to_wkt(version="WKT2_2019"))
    except (CRSError, RasterioError) as error:
        raise UsageError(
            f"Its coordinate system is not supported ({error}).", _shown(path), remedy
        ) from error
    if not (crs.is_geographic or crs.is_projected):
        raise UsageError(
            f"Its coordinate system, {crs.name}, is neither geographic nor projected.", _shown(path), remedy
        )
    return crs


def _code_without_data(dataset: DatasetReader) -> int:
    limits = np.iinfo(dataset.dtypes[0])
    tag = dataset.nodata
    if tag is not None and float(tag).is_integer() and limits.min <= tag <= limits.max:
        return int(tag)
    return int(limits.max if limits.min == 0 else limits.min)


def _shown(path: str) -> str:
    """A path or URL without the query and the user, which may be secret."""
    return re.sub(r"(?<=://)[^/@]*@", "", path.split("?")[0]) if _is_remote(path) else path


def _unreadable(path: str, error: RasterioError) -> UsageError:
    reason = "" if _is_remote(path) else f" ({' '.join(str(error.__cause__ or error).split())[:300]})"
    return UsageError(
        f"The raster cannot be read{reason}.", _shown(path), "Check that it exists and is complete."
    )
