"""METADATA.XML and HISTORY.XML of a product.

METADATA.XML has all elements of a real file: elements that are the same for all products come from a template, elements
of the product are filled in here, and `navigation` writes the long lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.synthetic import navigation
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.navigation import utc
from spectralearth_build.synthetic.spec import Corners, Layers, ProductSpec, centre_of

Cube = npt.NDArray[np.int16]
FRAMES = ("upper_left", "lower_left", "lower_right", "upper_right")
NOT_COMPUTED = -999
"""Value for a number that was not computed."""
NO_MEAN = -1000000
"""Mean of a band without data in the statistics."""
_VECTORS = {"orbit": (0, navigation.orbit), "attitude": (1, navigation.attitude)}
"""Lists of state vectors below product/calibration: position among the other elements, and writer."""
_LISTS = {
    "product/navigation/RPC": (navigation.rpcs,),
    "product/time/swir": (navigation.frame_times,),
    "product/time/vnir": (navigation.frame_times, navigation.jitter),
}
"""Elements with only long lists, and their writers, which write text, since the lists are most of the file."""


def metadata_xml(
    spec: ProductSpec,
    cube: Cube,
    layers: Layers,
    names: Iterable[str],
    sizes: Mapping[str, int] | None = None,
) -> bytes:
    """Make the METADATA.XML of a product.

    Args:
        spec: the product.
        cube: image of the product, int16 [224, line, col].
        layers: quality layers of the product.
        names: file names of the product.
        sizes: sizes in bytes of the files already written.
    """
    root = fromstring(_template())
    sizes = sizes or {}
    _fill(root, _head(spec, sum(sizes.values())))
    _fill(
        root,
        {"specific": _specific(spec, layers), "product": _product(spec, cube, layers, list(names), sizes)},
    )
    if not spec.correction:
        _child(root, "processing").remove(_child(root, "processing/correctionType"))
    for name, (at, write) in _VECTORS.items():
        _child(root, f"product/calibration/{name}")[at:at] = fromstring(f"<list>{write(spec)}</list>")
    indent(root)
    for place in _LISTS:
        _child(root, place).text = f"@{place}@"
    text = tostring(root, encoding="unicode")
    for place, writers in _LISTS.items():
        text = text.replace(f"@{place}@", "\n" + "".join(write(spec) for write in writers), 1)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


def history_xml(spec: ProductSpec) -> bytes:
    """Make the HISTORY.XML of a product: processor version and time."""
    root = _node("history", {"product": spec.product_id})
    root.append(
        _node("step", {"level": spec.level, "version": spec.version[1:], "time": utc(spec.processed)})
    )
    indent(root)
    return bytes(tostring(root, encoding="UTF-8", xml_declaration=True))


@cache
def _template() -> bytes:
    return files("spectralearth_build.synthetic").joinpath("metadata_template.xml").read_bytes()


def _head(spec: ProductSpec, size: int) -> dict[str, object]:
    revision = ".".join(spec.version[i : i + 2] for i in (1, 3, 5))
    return {
        "metadata": {
            "schema": {"processingLevel": spec.level},
            "name": f"{spec.product_id}-METADATA.XML",
            "comment": f"EnMAP Level {spec.level[1:]} Product of datatake {int(spec.datatake[2:])}",
        },
        "processing": {
            "correctionType": spec.correction,
            "cirrusHazeRemoval": "Yes" if spec.cirrus_haze_removal else "No",
            "waterType": spec.water_type,
        },
        "base": {
            "spatialCoverage": {"boundingPolygon": _polygon(spec.footprint(), spec.started)},
            "temporalCoverage": {"startTime": utc(spec.started), "stopTime": utc(spec.stopped)},
            "revision": revision,
            "altitudeCoverage": spec.mean_elevation,
            "format": f"ENMAP_{spec.level}",
            "level": spec.level,
            "size": size,
            "archivedVersion": revision,
        },
    }


def _specific(spec: ProductSpec, layers: Layers) -> dict[str, object]:
    bands = band_set(spec.band_set)
    rows = zip(bands.wavelength_nm, bands.fwhm_nm, strict=True)
    unknown = _angles(NOT_COMPUTED, 0)
    received = utc(spec.started + timedelta(hours=3))
    return {
        "spatialCoverageOfDatatake": {"boundingPolygon": _polygon(spec.footprint(), spec.started)},
        "spatialCoverageOfOrthoScene": {"boundingPolygon": _polygon(spec.raster_corners(), spec.started)},
        "qualityFlag": _quality(spec, layers),
        "vnirProductQuality": _channels(bands.channels("VNIR")),
        "swirProductQuality": _channels(bands.channels("SWIR")),
        "inputDatatake": {"datatakeAssemblyTime": received},
        "processingDateTime": utc(spec.processed),
        "archivingDateTime": received,
        "receivingDateTime": received,
        "datatakeID": spec.datatake[2:],
        "imageID": spec.tile,
        "numberOfSWIRBands": len(bands.channels("SWIR")),
        "numberOfVNIRBands": len(bands.channels("VNIR")),
        "productType": f"ENMAP_{spec.level}",
        "datatakeStart": utc(spec.started),
        "datatakeStop": utc(spec.stopped),
        "tileID": f"{spec.tile:02d}",
        "numberOfTiles": f"{spec.number_of_tiles:02d}",
        "heightOfScene": spec.lines,
        "meanGroundElevation": spec.mean_elevation,
        "sunElevationAngle": _angles(spec.sun_elevation, 0.12),
        "sunAzimuthAngle": _angles(spec.sun_azimuth, 0.35),
        "acrossOffNadirAngle": _angles(spec.across_off_nadir, 1.3) if spec.computed else unknown,
        "alongOffNadirAngle": _angles(spec.along_off_nadir, 0.02) if spec.computed else unknown,
        "sceneAzimuthAngle": _angles(spec.scene_azimuth, 0.1),
        "code": spec.level,
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
        "widthOfOrthoScene": spec.box.width,
        "heightOfOrthoScene": spec.box.height,
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
        **(computed if spec.computed else dict.fromkeys(computed, NOT_COMPUTED)),
        "sceneSZA": f"{90 - spec.sun_elevation:.6f}",
        "sceneWV": spec.water_vapour,
        "sceneAOT": spec.aerosol,
    }


def _product(
    spec: ProductSpec, cube: Cube, layers: Layers, names: list[str], sizes: Mapping[str, int]
) -> dict[str, object]:
    wavelengths = band_set(spec.band_set).wavelength_nm
    inside = layers.inside
    return {
        "image": {"merge": {"channels": cube.shape[0]} | _raster(spec, "SPECTRAL_IMAGE", names, sizes)},
        "quicklook": {kind.lower(): _raster(spec, f"QL_{kind}", names, sizes) for kind in ("VNIR", "SWIR")},
        "bandStatistics": [
            _node("bandID", {"waveLength": f"{wavelength:g}", **_statistics(band[inside])}, number=number)
            for number, (wavelength, band) in enumerate(zip(wavelengths, cube, strict=True), 1)
        ],
        "ortho": {"projection": spec.projection},
        "productFileInformation": [_file(i, name, sizes) for i, name in enumerate(names, 1)],
    }


def _raster(spec: ProductSpec, layer: str, names: list[str], sizes: Mapping[str, int]) -> dict[str, object]:
    """Elements of an image: name, size and dimensions."""
    name = next((name for name in names if layer in name), f"{spec.product_id}-{layer}.TIF")
    lon, lat = np.array(spec.raster_corners()).T
    return {
        "name": name,
        "size": sizes.get(name, 0),
        "dimension": {"columns": spec.box.width, "rows": spec.box.height},
        "dimensionGeographic": {
            "longitude": f"{np.ptp((lon - lon[0] + 180) % 360):.9f}",
            "latitude": f"{np.ptp(lat):.9f}",
        },
    }


def _file(number: int, name: str, sizes: Mapping[str, int]) -> Element:
    kind = "GeoTIFF" if name.upper().endswith((".TIF", ".TIFF")) else "XML"
    element = _node("file", {"name": name}, number=number)
    SubElement(element, "size", {"unit": "byte"}).text = str(sizes.get(name, 0))
    element.extend([_node("version", "01"), _node("format", kind)])
    return element


def _statistics(values: npt.NDArray[np.int16]) -> dict[str, object]:
    values = values[values != NODATA]
    if values.size == 0:
        return {"mean": NO_MEAN, "stdDeviation": 0}
    return {"mean": f"{values.mean(dtype=float):.6f}", "stdDeviation": f"{values.std(dtype=float):.6f}"}


def _polygon(corners: Corners, time: datetime) -> list[Element]:
    """Six points as in real files: four corners, the first corner again with another precision, and the centre."""
    points = [(*corner, frame, 6) for corner, frame in zip(corners, FRAMES, strict=True)]
    points += [(*corners[0], FRAMES[0], 9), (*centre_of(corners), "center", 6)]
    elements = []
    for lon, lat, frame, digits in points:
        element = _node("point", {"frame": frame})
        for name, value in (("latitude", lat), ("longitude", lon)):
            SubElement(element, name, {"unit": "DEG"}).text = f"{value:.{digits}f}"
        element.append(_node("utcTime", utc(time)))
        elements.append(element)
    return elements


def _angles(centre: float, spread: float) -> dict[str, object]:
    frames = {"upper_left": -1, "upper_right": 1, "lower_left": -1, "lower_right": 1, "center": 0}
    return {frame: f"{centre + side * spread:.6f}" for frame, side in frames.items()}


def _channels(numbers: list[int]) -> dict[str, object]:
    return {"numChannelsExpected": len(numbers), "expectedChannelsList": ",".join(map(str, numbers))}


def _node(tag: str, content: object, **attributes: object) -> Element:
    """Make an element with a text, or with child elements that have texts."""
    element = Element(tag, {key: str(value) for key, value in attributes.items()})
    if isinstance(content, Mapping):
        for name, text in content.items():
            SubElement(element, name).text = str(text)
    else:
        element.text = str(content)
    return element


def _fill(element: Element, content: object) -> None:
    """Fill in texts and lists of elements; all named elements must exist in the template."""
    if isinstance(content, Mapping):
        for tag, inner in content.items():
            _fill(_child(element, tag), inner)
    elif isinstance(content, list):
        element.extend(content)
    else:
        element.text = str(content)


def _child(element: Element, place: str) -> Element:
    child = element.find(place)
    if child is None:
        raise ValueError(f"The template has no {place} in {element.tag}.")
    return child
