"""METADATA.XML and HISTORY.XML of a product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
import numpy.typing as npt

from spectralearth_build.synthetic.bands import band_set
from spectralearth_build.synthetic.spec import NODATA, Corners, Layers, ProductSpec

Cube = npt.NDArray[np.int16]
FRAMES = ("upper_left", "lower_left", "lower_right", "upper_right")
NOT_COMPUTED = -999
"""What the format writes for a number that was not computed."""
NO_MEAN = -1000000
"""Mean that the statistics give for a band without data."""


def metadata_xml(spec: ProductSpec, cube: Cube, layers: Layers, names: Iterable[str]) -> bytes:
    """METADATA.XML of a product.

    Args:
        spec: the product.
        cube: its image, int16 [224, line, col].
        layers: its quality layers.
        names: its file names.
    """
    revision = ".".join(spec.version[i : i + 2] for i in (1, 3, 5))
    root = _node(
        "level_X",
        {
            "metadata": {"schema": {"versionSchema": "00.02.00"}, "name": f"{spec.product_id}-METADATA.XML"},
            "base": {
                "archivedVersion": revision,
                "revision": revision,
                "level": spec.level,
                "format": f"ENMAP_{spec.level}",
                "temporalCoverage": {"startTime": _time(spec.started), "stopTime": _time(spec.stopped)},
                "spatialCoverage": {"boundingPolygon": _polygon(spec.footprint(), spec.started)},
            },
            "processing": _processing(spec),
            "specific": _specific(spec, layers),
            "product": _product(spec, cube, layers, list(names)),
        },
    )
    return _bytes(root)


def history_xml(spec: ProductSpec) -> bytes:
    """HISTORY.XML of a product: which processor made it, when."""
    step = {"level": spec.level, "version": spec.version[1:], "time": _time(spec.processed)}
    return _bytes(_node("history", {"product": spec.product_id, "step": step}))


def _processing(spec: ProductSpec) -> dict[str, object]:
    correction = {"correctionType": spec.correction} if spec.correction else {}
    return {
        "productFormat": "GeoTIFF+Metadata",
        **correction,
        "cirrusHazeRemoval": "Yes" if spec.cirrus_haze_removal else "No",
        "waterType": spec.water_type,
    }


def _specific(spec: ProductSpec, layers: Layers) -> dict[str, object]:
    bands = band_set(spec.band_set)
    rows = zip(bands.wavelength_nm, bands.fwhm_nm, strict=True)
    unknown = _angles(NOT_COMPUTED, 0)
    return {
        "mission": "ENMAP",
        "datatakeID": spec.datatake[2:],
        "tileID": f"{spec.tile:02d}",
        "numberOfTiles": f"{spec.number_of_tiles:02d}",
        "datatakeStart": _time(spec.started),
        "orbitDirection": "DESCENDING",
        "meanGroundElevation": spec.mean_elevation,
        "spatialCoverageOfDatatake": {"boundingPolygon": _polygon(spec.footprint(), spec.started)},
        "widthOfOrthoScene": spec.box.width,
        "heightOfOrthoScene": spec.box.height,
        "pixelSizeOfOrthoScene": 30,
        "backgroundValue": 0,
        "qualityFlag": _quality(spec, layers),
        "sunElevationAngle": _angles(spec.sun_elevation, 0.12),
        "sunAzimuthAngle": _angles(spec.sun_azimuth, 0.35),
        "acrossOffNadirAngle": _angles(spec.across_off_nadir, 1.3) if spec.computed else unknown,
        "alongOffNadirAngle": _angles(spec.along_off_nadir, 0.02) if spec.computed else unknown,
        "sceneAzimuthAngle": _angles(spec.scene_azimuth, 0.1),
        "numberOfVNIRBands": len(bands.channels("VNIR")),
        "numberOfSWIRBands": len(bands.channels("SWIR")),
        "vnirProductQuality": _channels(bands.channels("VNIR")),
        "swirProductQuality": _channels(bands.channels("SWIR")),
        "bandCharacterisation": [
            _node(
                "bandID",
                {
                    "wavelengthCenterOfBand": f"{wavelength:g}",
                    "FWHMOfBand": f"{fwhm:g}",
                    "GainOfBand": 0.0001,
                    "OffsetOfBand": 0,
                },
                number=number,
            )
            for number, (wavelength, fwhm) in enumerate(rows, 1)
        ],
    }


def _quality(spec: ProductSpec, layers: Layers) -> dict[str, object]:
    computed = {
        "overallQuality": spec.overall_quality,
        "cloudCover": layers.percent(layers.cloud > 0),
        "hazeCover": layers.percent(layers.haze > 0),
        "cirrusCover": layers.percent(layers.cirrus > 0),
        "snowCover": layers.percent(layers.snow > 0),
        "waterCover": layers.percent(layers.classes == 2),
        "cloudShadow": layers.percent(layers.shadow > 0),
    }
    return {
        "overallQualityVNIR": 0,
        "overallQualitySWIR": 0,
        **(computed if spec.computed else dict.fromkeys(computed, NOT_COMPUTED)),
        "sceneSZA": f"{90 - spec.sun_elevation:.6f}",
        "sceneWV": spec.water_vapour,
        "sceneAOT": spec.aerosol,
    }


def _product(spec: ProductSpec, cube: Cube, layers: Layers, names: list[str]) -> dict[str, object]:
    wavelengths = band_set(spec.band_set).wavelength_nm
    image = next(name for name in names if "SPECTRAL_IMAGE" in name)
    inside = layers.inside
    return {
        "image": {
            "merge": {
                "channels": cube.shape[0],
                "name": image,
                "dimension": {"columns": spec.box.width, "rows": spec.box.height},
            }
        },
        "bandStatistics": [
            _node("bandID", {"wavelength": f"{wavelength:g}", **_statistics(band[inside])}, number=number)
            for number, (wavelength, band) in enumerate(zip(wavelengths, cube, strict=True), 1)
        ],
        "ortho": {"projection": spec.projection, "resolution": 30, "resampling": "Bilinear Interpolation"},
        "productFileInformation": [
            _node("file", {"name": name}, number=i) for i, name in enumerate(names, 1)
        ],
    }


def _statistics(values: npt.NDArray[np.int16]) -> dict[str, object]:
    values = values[values != NODATA]
    if values.size == 0:
        return {"mean": NO_MEAN, "stdDeviation": 0}
    return {"mean": f"{values.mean(dtype=float):.6f}", "stdDeviation": f"{values.std(dtype=float):.6f}"}


def _polygon(corners: Corners, time: datetime) -> list[Element]:
    """Six points as real files give them: four corners, the first again at another precision, the centre."""
    centre = _centre(corners)
    points = [(*corner, frame, 6) for corner, frame in zip(corners, FRAMES, strict=True)]
    points += [(*corners[0], FRAMES[0], 9), (*centre, "center", 6)]
    return [
        _node(
            "point",
            {"frame": frame, "latitude": f"{lat:.{p}f}", "longitude": f"{lon:.{p}f}", "utcTime": _time(time)},
        )
        for lon, lat, frame, p in points
    ]


def _centre(corners: Corners) -> tuple[float, float]:
    """Mean of the corners, which may lie on both sides of the antimeridian."""
    first = corners[0][0]
    lon = first + sum((c[0] - first + 180) % 360 - 180 for c in corners) / len(corners)
    return (lon + 180) % 360 - 180, sum(c[1] for c in corners) / len(corners)


def _angles(centre: float, spread: float) -> dict[str, object]:
    frames = {"upper_left": -1, "upper_right": 1, "lower_left": -1, "lower_right": 1, "center": 0}
    return {frame: f"{centre + side * spread:.6f}" for frame, side in frames.items()}


def _channels(numbers: list[int]) -> dict[str, object]:
    return {"numChannelsExpected": len(numbers), "expectedChannelsList": ",".join(map(str, numbers))}


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def _node(tag: str, content: object, **attributes: object) -> Element:
    element = Element(tag, {key: str(value) for key, value in attributes.items()})
    _fill(element, content)
    return element


def _fill(element: Element, content: object) -> None:
    if isinstance(content, Mapping):
        for tag, inner in content.items():
            _fill(SubElement(element, tag), inner)
    elif isinstance(content, list):
        element.extend(content)
    else:
        element.text = str(content)


def _bytes(root: Element) -> bytes:
    indent(root)
    return bytes(tostring(root, encoding="UTF-8", xml_declaration=True))
