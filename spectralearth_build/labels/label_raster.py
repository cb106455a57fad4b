"""Rasters that give labels: opened, checked, and read window by window.

Any format that GDAL knows will do, on disk or behind a URL (https://, s3://, or a /vsi path), as long as it has one
band, a coordinate system and a type that fits its kind. Colour and attribute tables are not looked at: names and
colours come from nomenclatures.
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
"""Radius of the sphere that stands for the Earth, metres."""
_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""Nothing beside the file counts, here as on workers: a sidecar could change nodata or coordinate system, and nobody
hashes it."""
_REMOTE = {
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""Seconds and tries for rasters behind a URL: by default GDAL waits for ever."""
_CODES = ("uint8", "int8", "uint16", "int16", "int32")
"""Types of categorical rasters."""


class LabelRaster:
    """One open raster of labels. Not for several threads, nor for another process; opening is cheap."""

    kind: Kind
    name: str
    """Base name of the file, which is what a dataset may say of it."""
    crs: CRS
    transform: Affine
    """From column and line to x and y."""
    shape: tuple[int, int]
    """Lines and columns."""
    dtype: np.dtype[Any]
    """Type of what is read: that of the file for categorical rasters, float32 for continuous ones."""
    nodata: float
    """Value of pixels without data, always NaN for continuous rasters; an integer for categorical ones, and where the
    file names none: the largest of an unsigned type, the smallest of a signed one."""

    def __init__(self, dataset: DatasetReader, path: str, kind: Kind | None) -> None:
        self.kind = kind or ("continuous" if np.dtype(dataset.dtypes[0]).kind == "f" else "categorical")
        self.name = PurePosixPath(_shown(path)).name
        self.transform, self.shape = dataset.transform, (dataset.height, dataset.width)
        self._dataset, self._path = dataset, path
        self._check()
        self.crs = _crs(dataset, path)
        self.dtype = np.dtype(dataset.dtypes[0] if self.kind == "categorical" else np.float32)
        self.nodata = math.nan if self.kind == "continuous" else _code_without_data(dataset)
        # A code that stands for no data is left as it is; only a mask of its own must be asked for.
        tagged = MaskFlags.nodata if self.kind == "continuous" else MaskFlags.per_dataset
        self._masked = {tagged, MaskFlags.per_dataset} & set(dataset.mask_flag_enums[0])

    @property
    def metres(self) -> float:
        """Nominal edge of a pixel, metres: that of a square of its area; of degrees, at the equator."""
        unit = self.crs.axis_info[0].unit_conversion_factor * (_EARTH if self.crs.is_geographic else 1)
        return float(math.sqrt(abs(self.transform.determinant)) * unit)

    def covers(self, epsg: int, west: float, north: float) -> bool:
        """Whether the centre of any pixel of a patch lies in the raster, with data or without.

        Args:
            epsg: UTM zone of the patch.
            west: x of its upper-left corner, metres.
            north: y of its upper-left corner, metres.
        """
        height, width = self.shape
        found = (cells(*place, self.shape) for place in places(self, epsg, west, north, centres()))
        return any(((line >= 0) & (line < height) & (col >= 0) & (col < width)).any() for line, col in found)

    def read(self, lines: slice, cols: slice) -> Values:
        """Pixels of a window inside the raster [line, col], of type ``dtype``, with ``nodata`` where there are none.

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
                f"The raster has {dataset.count} bands; labels have one.",
                path,
                "Write the band you mean to a file.",
            )
        if self.kind == "continuous" and np.dtype(dataset.dtypes[0]).kind not in "iuf":
            raise UsageError(f"The raster is {dataset.dtypes[0]}, and so no quantity.", path, "Convert it.")
        if self.kind == "categorical" and dataset.dtypes[0] not in _CODES:
            raise UsageError(
                f"The raster is {dataset.dtypes[0]}; codes of classes are {', '.join(_CODES)}.",
                path,
                "Convert it, or say that its values are continuous.",
            )
        if self.transform.determinant == 0 or self.transform.is_identity:
            raise UsageError("The raster has no georeference.", path, "Write its transform into the file.")


def open_label_raster(path: str | Path, kind: Kind | None = None) -> LabelRaster:
    """Open a raster of labels, a context manager.

    Args:
        path: file or URL, as rasterio takes it.
        kind: categorical for codes of classes, continuous for quantities; None: by the type of the file, integer or
            float. Integers may be continuous, such as percent of tree cover; scale and offset are then applied.

    Raises:
        UsageError: it cannot be opened, or has several bands, no coordinate system, or a type that does not fit.
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
    options: AbstractContextManager[object] = rasterio.Env(**_ALONE, **(_REMOTE if _is_remote(path) else {}))
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
            f"Its coordinate system is not understood ({error}).", _shown(path), remedy
        ) from error
    if not (crs.is_geographic or crs.is_projected):
        raise UsageError(
            f"Its coordinate system, {crs.name}, is not of the Earth's surface.", _shown(path), remedy
        )
    return crs


def _code_without_data(dataset: DatasetReader) -> int:
    limits = np.iinfo(dataset.dtypes[0])
    tag = dataset.nodata
    if tag is not None and float(tag).is_integer() and limits.min <= tag <= limits.max:
        return int(tag)
    return int(limits.max if limits.min == 0 else limits.min)


def _shown(path: str) -> str:
    """A path or URL without what may be secret: the query and the user."""
    return re.sub(r"(?<=://)[^/@]*@", "", path.split("?")[0]) if _is_remote(path) else path


def _unreadable(path: str, error: RasterioError) -> UsageError:
    reason = "" if _is_remote(path) else f" ({' '.join(str(error.__cause__ or error).split())[:300]})"
    return UsageError(
        f"The raster cannot be read{reason}.", _shown(path), "Check that it is there and whole."
    )
