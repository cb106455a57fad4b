"""Read METADATA.XML as a stream, because little of its 4 MB is needed. The file is not trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spectralearth_build.archive.metadata_elements import (
    BAND,
    POINT,
    MetadataElements,
    natural,
    read_elements,
    to_float,
)
from spectralearth_build.archive.names import datatake_of
from spectralearth_build.errors import BandMismatchError, BrokenMetadataError

Floats = npt.NDArray[np.float64]
CORNERS = ("upper_left", "upper_right", "lower_left", "lower_right")
_QUALITY = "specific/qualityFlag/"
_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("cloud_cover", "haze_cover", "cirrus_cover", "snow_cover", "water_cover"), (0, 100)),
    "sun_elevation": (-90, 90),
    "sun_azimuth": (-360, 360),
    "off_nadir": (-90, 90),
    "overall_quality": (0, 2),
}
"""Valid range of each number. Other values count as unknown; -999 means not computed."""
_YES = {"yes": True, "no": False}
_UTM = re.compile(r"UTM_Zone_?0?(\d{1,2})_(North|South)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Metadata:
    """The contents of METADATA.XML. Numbers that a product lacks are None."""

    name: str
    """Name of the metadata file, which begins with the product's name; empty if absent."""
    level: str
    """L2A, L1C or L1B; empty if absent."""
    revision: str
    """Version of the processor, such as 01.04.02."""
    datatake: str
    """DT0000001849."""
    tile: int
    """Number of the tile within the datatake."""
    started: datetime
    """Start of the tile's acquisition, UTC."""
    stopped: datetime | None
    """End of the tile's acquisition, UTC."""
    corners: dict[str, tuple[float, float]]
    """Longitude and latitude by frame: upper_left, upper_right, lower_left, lower_right, center."""
    width: int
    """Columns of the raster."""
    height: int
    """Lines of the raster."""
    epsg: int | None
    """EPSG code of the raster: 326xx, 327xx, 3035, 4326; None if the projection is unknown."""
    projection: str
    """Name of the projection, such as UTM_Zone32_North."""
    correction: str
    """Correction as in the file: Land_Mode, Water_Mode, Combined; empty if absent."""
    water_type: str | None
    """Water type as in the file: Clear, Turbid, Highly_Turbid; None if absent, NA or -999."""
    cirrus_haze_removal: bool | None
    """Whether cirrus and haze were removed from the pixels; None if unknown."""
    numbers: Mapping[str, float | None]
    """Quality and angles as in the file, by column of the tile table; values may be out of range.

    cloud_cover, haze_cover, cirrus_cover, snow_cover and water_cover are percent. sun_elevation, sun_azimuth and
    off_nadir (across track) are degrees at the centre; a sun elevation of 0 or below is night. overall_quality is
    0 nominal, 1 reduced, 2 low.
    """
    wavelength_nm: Floats
    """Centre wavelengths of all bands, in raster order."""
    fwhm_nm: Floats
    """Full widths at half maximum of all bands."""
    detector: tuple[str, ...]
    """Detector of each band: VNIR, SWIR, or empty for a band in neither list."""
    gain: Floats
    """Factor from stored value to reflectance, by band; NaN if absent."""
    offset: Floats
    """Offset to add after multiplying, by band; NaN if absent."""

    @property
    def known(self) -> dict[str, float | None]:
        """``numbers`` with None for values out of range."""
        return {name: value if _possible(name, value) else None for name, value in self.numbers.items()}


def read_metadata(path: Path) -> Metadata:
    """Read a METADATA.XML.

    Raises:
        BandMismatchError: it assigns a detector to a band that it does not describe.
        BrokenMetadataError: it is not well-formed, too large, nested too deep, declares a DTD, or lacks an element.
        EmptyFileError, MissingFileError, UnreadableFileError: the file cannot be read.
    """
    return _metadata(read_elements(path))


def _metadata(elements: MetadataElements) -> Metadata:
    numbers = sorted(elements.bands)
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        raise BrokenMetadataError(f"The bands of {BAND} are not numbered from 1.", elements.path)
    bands = [elements.bands[number] for number in numbers]

    def column(name: str) -> Floats:
        return np.array([to_float(band.get(name, "")) for band in bands])

    projection = elements.text("product/ortho/projection")
    return Metadata(
        name=elements.texts.get("metadata/name", ""),
        level=elements.texts.get("base/level", ""),
        revision=elements.texts.get("base/revision", ""),
        datatake=_datatake(elements),
        tile=elements.whole("specific/tileID"),
        started=elements.time("base/temporalCoverage/startTime"),
        stopped=elements.time(stop) if (stop := "base/temporalCoverage/stopTime") in elements.texts else None,
        corners=_corners(elements),
        width=elements.whole("specific/widthOfOrthoScene"),
        height=elements.whole("specific/heightOfOrthoScene"),
        epsg=epsg_of(projection),
        projection=projection,
        correction=elements.texts.get("processing/correctionType", ""),
        water_type=_said(elements, "processing/waterType"),
        cirrus_haze_removal=_YES.get(elements.texts.get("processing/cirrusHazeRemoval", "").lower()),
        numbers=_numbers(elements),
        wavelength_nm=column("wavelengthCenterOfBand"),
        fwhm_nm=column("FWHMOfBand"),
        detector=_detectors(elements, len(bands)),
        gain=column("GainOfBand"),
        offset=column("OffsetOfBand"),
    )


def epsg_of(projection: str) -> int | None:
    """EPSG code of a projection as METADATA.XML names it; None if unknown."""
    if match := _UTM.fullmatch(projection):
        zone = int(match[1])
        return (32600 if match[2].lower() == "north" else 32700) + zone if 1 <= zone <= 60 else None
    return {"LAEA-ETRS89": 3035, "GEOGRAPHIC": 4326}.get(projection.upper())


def _numbers(elements: MetadataElements) -> dict[str, float | None]:
    quality = elements.maybe(f"{_QUALITY}overallQuality")
    return {
        **{
            f"{kind}_cover": elements.maybe(f"{_QUALITY}{kind}Cover")
            for kind in ("cloud", "haze", "cirrus", "snow", "water")
        },
        "sun_elevation": elements.number("specific/sunElevationAngle/center"),
        "sun_azimuth": elements.maybe("specific/sunAzimuthAngle/center"),
        "off_nadir": elements.maybe("specific/acrossOffNadirAngle/center"),
        "overall_quality": None if quality is None else int(quality),
    }


def _possible(name: str, value: float | None) -> bool:
    low, high = _RANGES[name]
    return value is not None and low <= value <= high


def _said(elements: MetadataElements, place: str) -> str | None:
    text = elements.texts.get(place, "")
    return None if text.upper() in ("", "NA", "-999") else text


def _datatake(elements: MetadataElements) -> str:
    digits = elements.text("specific/datatakeID").upper().removeprefix("DT")
    if natural(digits) is None:
        raise BrokenMetadataError("The element specific/datatakeID is not a number.", elements.path)
    return datatake_of(digits)


def _corners(elements: MetadataElements) -> dict[str, tuple[float, float]]:
    corners: dict[str, tuple[float, float]] = {}
    for point in elements.points:
        lon, lat = to_float(point.get("longitude", "")), to_float(point.get("latitude", ""))
        if not point:
            continue
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):  # also where one is NaN
            raise BrokenMetadataError(
                f"A point of {POINT} is outside the range of longitude and latitude.", elements.path
            )
        corners.setdefault(point.get("frame", ""), (lon, lat))
    if missing := [frame for frame in CORNERS if frame not in corners]:
        raise BrokenMetadataError(f"{POINT} lacks {', '.join(missing)}.", elements.path)
    return corners


def _detectors(elements: MetadataElements, bands: int) -> tuple[str, ...]:
    detectors = [""] * bands
    for detector in ("VNIR", "SWIR"):
        place = f"specific/{detector.lower()}ProductQuality/expectedChannelsList"
        for item in elements.text(place).split(","):
            band = natural(item.strip()) or 0
            if band > bands:
                raise BandMismatchError(f"{place} names band {band}, but there are {bands}.", elements.path)
            if band < 1 or detectors[band - 1]:
                what = f"{place} names '{item[:20]}', which is not a band or was named before."
                raise BrokenMetadataError(what, elements.path)
            detectors[band - 1] = detector
    return tuple(detectors)
