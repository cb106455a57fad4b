"""Ways in which METADATA.XML is damaged. Each function spoils a product folder in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring, tostring

import numpy as np

from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.spec import ProductSpec
from spectralearth_build.synthetic.spoil_raster import find, reorder

_BANDS = "specific/bandCharacterisation"
_POLYGON = "base/spatialCoverage/boundingPolygon"
_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(9))


@contextmanager
def edited(product: Path) -> Iterator[Element]:
    """Yield the root of the metadata, which is written back on exit."""
    path = find(product, "METADATA")
    root = fromstring(path.read_bytes())
    yield root
    path.write_bytes(tostring(root, encoding="UTF-8", xml_declaration=True))


def set_text(product: Path, where: str, change: Callable[[str], str]) -> None:
    """Change the text of every element at a path."""
    with edited(product) as root:
        for element in root.findall(where):
            element.text = change(element.text or "")


def set_angle(product: Path, name: str, value: float) -> None:
    """Set an angle at all corners and the centre."""
    set_text(product, f"specific/{name}/*", lambda _: f"{value:.6f}")


def night(product: Path) -> None:
    """Describe a night scene like real ones: no sun, low quality, no cloud."""
    set_angle(product, "sunElevationAngle", 0.0)
    set_text(product, "specific/qualityFlag/overallQuality", lambda _: "2")
    set_text(product, "specific/qualityFlag/cloudCover", lambda _: "0")
    set_text(product, "specific/qualityFlag/sceneSZA", lambda _: "90.000000")


def forget_correction(product: Path) -> None:
    """Remove the correction."""
    with edited(product) as root:
        processing = _child(root, "processing")
        processing.remove(_child(processing, "correctionType"))


def not_computed(product: Path, grade: bool = False) -> None:
    """Set covers and off-nadir angles to -999, and with ``grade`` also the overall quality."""
    names = ["cloudCover", "hazeCover", "cirrusCover", "snowCover", "waterCover", "cloudShadow"]
    for name in [*names, "overallQuality"] if grade else names:
        set_text(product, f"specific/qualityFlag/{name}", lambda _: "-999")
    set_angle(product, "acrossOffNadirAngle", -999)


def move_corners(product: Path, degrees: float) -> None:
    """Move the footprint away from the raster."""
    set_text(product, f"{_POLYGON}/point/latitude", lambda text: f"{float(text) + degrees:.6f}")


def nan_corners(product: Path) -> None:
    """Set the footprint to NaN."""
    for axis in ("latitude", "longitude"):
        set_text(product, f"{_POLYGON}/point/{axis}", lambda _: "NaN")


def no_corners(product: Path) -> None:
    """Remove all points of the footprint."""
    with edited(product) as root:
        polygon = _child(root, _POLYGON)
        for point in list(polygon):
            polygon.remove(point)


def bow_tie(product: Path) -> None:
    """Make the footprint cross itself by exchanging two corners."""
    with edited(product) as root:
        points = root.findall(f"{_POLYGON}/point")
        first, second = points[2], points[3]
        for axis in ("latitude", "longitude"):
            one, other = _child(first, axis), _child(second, axis)
            one.text, other.text = other.text, one.text


def lose_wavelength(product: Path) -> None:
    """Remove a band from the metadata."""
    with edited(product) as root:
        bands = _child(root, _BANDS)
        bands.remove(bands[-1])


def move_wavelengths(product: Path, nm: float) -> None:
    """Shift wavelengths to values that no EnMAP product has."""
    set_text(product, f"{_BANDS}/bandID/wavelengthCenterOfBand", lambda text: f"{float(text) + nm:g}")


def by_detector(product: Path, spec: ProductSpec) -> None:
    """Order bands by detector instead of wavelength, in raster and metadata."""
    bands = band_set(spec.band_set)
    order = np.argsort(bands.detector == "SWIR", kind="stable")
    reorder(product, order)
    vnir = len(bands.channels("VNIR"))
    channels = {"vnir": range(1, vnir + 1), "swir": range(vnir + 1, len(order) + 1)}
    with edited(product) as root:
        for where in (_BANDS, "product/bandStatistics"):
            table = _child(root, where)
            table[:] = [table[int(band)] for band in order]
            for number, row in enumerate(table, 1):
                row.set("number", str(number))
        for detector, numbers in channels.items():
            text = ",".join(map(str, numbers))
            _child(root, f"specific/{detector}ProductQuality/expectedChannelsList").text = text


def declare(product: Path, laughs: bool) -> None:
    """Add a DTD: a harmless one, or one whose entities expand to a gigabyte."""
    path = find(product, "METADATA")
    head, rest = path.read_bytes().split(b"<level_X", 1)
    body = f"<!DOCTYPE level_X [{_LAUGHS if laughs else ''}]>\n".encode()
    if laughs:
        rest = rest.replace(b"<mission>ENMAP", b"<mission>&l8;", 1)
    path.write_bytes(head + body + b"<level_X" + rest)


def include_file(product: Path) -> None:
    """Add an entity for a file of the machine and use it as the mission's name."""
    path = find(product, "METADATA")
    head, rest = path.read_bytes().split(b"<level_X", 1)
    entity = b'<!DOCTYPE level_X [<!ENTITY file SYSTEM "file:///etc/hostname">]>\n'
    path.write_bytes(head + entity + b"<level_X" + rest.replace(b"<mission>ENMAP", b"<mission>&file;", 1))


def nest(product: Path, depth: int) -> None:
    """Add deeply nested elements."""
    path = find(product, "METADATA")
    head, end, rest = path.read_bytes().rpartition(b"</level_X>")
    path.write_bytes(head + b"<a>" * depth + b"</a>" * depth + end + rest)


def inflate(product: Path, size: int) -> None:
    """Extend the file to a size with zeros, which use no space on disk."""
    with find(product, "METADATA").open("ab") as file:
        file.truncate(size)


def _child(element: Element, path: str) -> Element:
    child = element.find(path)
    if child is None:
        raise ValueError(f"The metadata lacks {path}.")
    return child
