"""All known ways in which archives are dirty, by name, with the expected result of a build."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spectralearth_build import errors
from spectralearth_build.layout import TileStatus
from spectralearth_build.synthetic import spoil_files as files
from spectralearth_build.synthetic import spoil_metadata as metadata
from spectralearth_build.synthetic import spoil_raster as raster
from spectralearth_build.synthetic.spec import ProductSpec

Spoil = Callable[[Path, ProductSpec], Path | None]


@dataclass(frozen=True)
class DirtyCase:
    """One way to spoil a sound product."""

    name: str
    what: str
    """What is wrong, in one sentence."""
    error: str
    """Class of `spectralearth_build.errors` that must be raised; empty if the product must be used as if clean."""
    spoil: Spoil
    """Function that spoils a product folder in place; returns its new path if that changes."""
    site: tuple[float, float] | None = None
    """Longitude and latitude that the product must have; None for any."""
    hole: bool = False
    """Whether part of the image was never written; the product must be used without that part."""

    @property
    def status(self) -> str:
        """Expected status in the tile table: used, quarantined or rejected (used may also be unused by the plan)."""
        return str(getattr(errors, self.error).status) if self.error else TileStatus.USED

    def apply(self, product: Path, spec: ProductSpec) -> Path:
        """Spoil a product's folder, or pack it into a spoilt archive; returns its path."""
        return self.spoil(product, spec) or product


def _case(
    name: str,
    what: str,
    error: str,
    spoil: Spoil,
    site: tuple[float, float] | None = None,
    hole: bool = False,
) -> DirtyCase:
    return DirtyCase(name, what, error=error, spoil=spoil, site=site, hole=hole)


_BROKEN, _GONE, _HOLE = "BrokenRasterError", "MissingFileError", "HoleError"
_XML, _MISMATCH, _BANDS = "BrokenMetadataError", "MetadataMismatchError", "BandMismatchError"
_LOCKED = "UnreadableFileError" if os.geteuid() else ""  # the superuser can read everything
_OTHER, _ODD, _POOR = "OtherCorrectionError", "UnknownCorrectionError", "PoorQualityError"
_LATTICE, _NAME, _PACKED = "OffLatticeError", "HostileNameError", "BrokenArchiveError"

_RASTER = (
    _case("truncated_image", "The image stops at 60 %.", _BROKEN, lambda p, s: raster.truncate(p)),
    _case("truncated_header", "A few bytes are left.", _BROKEN, lambda p, s: raster.truncate(p, keep=1e-4)),
    _case("truncated_layer", "A quality layer is cut.", _BROKEN, lambda p, s: raster.truncate(p, "QUALITY_CLASSES")),
    _case("flipped_bits", "Some bits of the image are flipped.", _BROKEN, lambda p, s: raster.flip_bits(p)),
    _case("huge_claim", "A small image claims terabytes.", _BROKEN, lambda p, s: raster.huge(p)),
    _case("vrt", "The image is a VRT that points elsewhere.", _BROKEN, lambda p, s: files.disguise(p)),
    _case("zero_bands", "Half of the bands are zeros.", _HOLE, lambda p, s: raster.hole(p, "band")),
    _case("zero_lines", "The lower half is zeros.", "", lambda p, s: raster.hole(p, "pixel"), hole=True),
    _case("zeros", "The image was never written.", _HOLE, lambda p, s: raster.preallocated(p)),
    _case("sparse", "The blocks of the lower half are missing.", "", lambda p, s: raster.sparse(p), hole=True),
    _case("float32", "The image is float32 with NaN.", "WrongTypeError", lambda p, s: raster.as_float(p)),
    _case("no_pixel", "No pixel has data.", "NoValidPixelError", lambda p, s: raster.erase(p)),
    _case("band_count", "The image has 223 bands, its metadata 224.", _BANDS, lambda p, s: raster.drop_band(p)),
    _case("no_nodata_tag", "The image declares no nodata.", "", lambda p, s: raster.nodata_tag(p, None)),
    _case("nodata_zero", "The image declares nodata 0.", "", lambda p, s: raster.nodata_tag(p, 0)),
    _case("sidecar", "Sidecar files override georeference and nodata.", "", lambda p, s: files.sidecars(p)),
    _case("laea", "It is delivered in LAEA.", _LATTICE, lambda p, s: _laea(p, s)),
    _case("geographic", "It is delivered in degrees.", _LATTICE, lambda p, s: _geographic(p, s)),
    _case("off_lattice", "It is 7 m off the lattice.", _LATTICE, lambda p, s: raster.place(p, s, s.epsg, 7.0)),
)  # fmt: skip

_METADATA = (
    _case("xml_size", "The metadata give another size.", _MISMATCH, lambda p, s: _wider(p)),
    _case("xml_corners", "The metadata place it elsewhere.", _MISMATCH, lambda p, s: metadata.move_corners(p, 0.4)),
    _case("xml_crs", "The metadata name another zone.", _MISMATCH, lambda p, s: _zone(p, s)),
    _case("xml_truncated", "The metadata are cut.", _XML, lambda p, s: raster.truncate(p, "METADATA")),
    _case("xml_dtd", "The metadata declare a DTD.", _XML, lambda p, s: metadata.declare(p, laughs=False)),
    _case("xml_laughs", "Entities in the metadata explode.", _XML, lambda p, s: metadata.declare(p, laughs=True)),
    _case("xml_entity", "The metadata name a file to include.", _XML, lambda p, s: metadata.include_file(p)),
    _case("xml_deep", "Elements of the metadata nest 10,000 deep.", _XML, lambda p, s: metadata.nest(p, 10_000)),
    _case("xml_huge", "The metadata have 65 MiB.", _XML, lambda p, s: metadata.inflate(p, 65 * 2**20)),
    _case("xml_numbers", "Its numbers are beyond any range.", _XML, lambda p, s: _beyond(p)),
    _case("nan_footprint", "The footprint is NaN.", _XML, lambda p, s: metadata.nan_corners(p)),
    _case("no_footprint", "The footprint has no points.", _XML, lambda p, s: metadata.no_corners(p)),
    _case("bow_tie", "The footprint crosses itself.", "", lambda p, s: metadata.bow_tie(p)),
    _case("band_table", "The metadata lack a band.", _BANDS, lambda p, s: metadata.lose_wavelength(p)),
    _case("wavelengths", "All wavelengths are 5 nm off.", _BANDS, lambda p, s: metadata.move_wavelengths(p, 5)),
    _case("by_detector", "The bands are ordered by detector.", "", lambda p, s: metadata.by_detector(p, s)),
    _case("night", "The sun is down.", "PoorQualityError", lambda p, s: metadata.night(p)),
    _case("water_mode", "It has another quantity, that of water.", _OTHER, lambda p, s: _mode(p, "Water_Mode")),
    _case("odd_mode", "It names an unknown correction.", _ODD, lambda p, s: _mode(p, "Ice_Mode")),
    _case("no_mode", "It does not name a correction.", "", lambda p, s: metadata.forget_correction(p)),
    _case("no_covers", "Covers and angles were not computed (-999).", "", lambda p, s: metadata.not_computed(p)),
    _case("no_quality", "Nothing was computed (-999).", _POOR, lambda p, s: metadata.not_computed(p, grade=True)),
    _case("no_sun", "Its sun is at -999 degrees.", _POOR, lambda p, s: _sun(p, -999)),
    _case("low_sun", "The sun is at 4 degrees.", "PoorQualityError", lambda p, s: _sun(p, 4)),
)  # fmt: skip

_FILES = (
    _case("empty_image", "The image has no bytes.", "EmptyFileError", lambda p, s: files.empty(p, raster.IMAGE)),
    _case("empty_metadata", "The metadata have no bytes.", "EmptyFileError", lambda p, s: files.empty(p, "METADATA")),
    _case("unreadable", "The image may not be read.", _LOCKED, lambda p, s: files.lock(p)),
    _case("pipe", "The image is a pipe that nobody writes to.", _GONE, lambda p, s: files.pipe(p)),
    _case("link_out", "The image is a link out of the archive.", _NAME, lambda p, s: files.link_out(p)),
    _case("no_image", "There is no image.", _GONE, lambda p, s: files.lose(p, raster.IMAGE)),
    _case("no_metadata", "There are no metadata.", _GONE, lambda p, s: files.lose(p, "METADATA")),
    _case("no_layer", "A quality layer is missing.", _GONE, lambda p, s: files.lose(p, "QUALITY_CLOUDSHADOW")),
    _case("level_1b", "It is an L1B product.", "WrongLevelError", lambda p, s: files.relabel(p, "L1B")),
    _case("level_1c", "It is an L1C product.", "WrongLevelError", lambda p, s: files.relabel(p, "L1C")),
    _case("newline_name", "Its name has a line break.", _NAME, lambda p, s: files.rename(p, "\nnext")),
    _case("markup_name", "Its name has markup.", _NAME, lambda p, s: files.rename(p, "<img src=x onerror=alert(1)>")),
    _case("undecodable_name", "Its name is not UTF-8.", "", lambda p, s: files.rename(p, "\udcff")),
    _case("zip_slip", "A zip member leaves the folder.", _NAME, lambda p, s: files.zip_member(p, "../../evil.TIF")),
    _case("zip_newline", "A zip member has a line break.", _NAME, lambda p, s: files.zip_member(p, "a\nb.TIF")),
    _case("tar_slip", "A member of an order leaves the folder.", _NAME, lambda p, s: _tar_slip(p)),
    _case("tar_absolute", "A member of an order has an absolute name.", _NAME, lambda p, s: _tar_absolute(p)),
    _case("tar_link", "The member of an order is a link.", _GONE, lambda p, s: files.tar_special(p, tarfile.SYMTYPE)),
    _case("tar_device", "Another is a device.", _GONE, lambda p, s: files.tar_special(p, tarfile.CHRTYPE)),
    _case("tar_bomb", "A small order unpacks to 256 MiB.", _PACKED, lambda p, s: files.tar_bomb(p)),
    _case("zip_lie", "A zip member is larger than it claims.", _PACKED, lambda p, s: files.understate(p)),
    _case("zip_bomb", "A small zip unpacks to 256 MiB.", _PACKED, lambda p, s: files.bomb(p)),
    _case("cut_zip", "A zip is cut.", _PACKED, lambda p, s: files.cut_zip(p)),
    _case("cut_order", "An order is cut.", _PACKED, lambda p, s: files.cut_order(p)),
    _case("polar", "It is at 85 degrees north.", "OutsideUtmError", lambda p, s: None, (14.0, 85.0)),
    _case("antimeridian", "It crosses 180 degrees.", "", lambda p, s: None, (180.0, 65.0)),
)  # fmt: skip

CASES: dict[str, DirtyCase] = {case.name: case for case in (*_RASTER, *_METADATA, *_FILES)}
"""All cases by name."""


def _laea(product: Path, spec: ProductSpec) -> None:
    raster.place(product, spec, 3035)
    metadata.set_text(product, "product/ortho/projection", lambda _: "LAEA-ETRS89")


def _geographic(product: Path, spec: ProductSpec) -> None:
    raster.place(product, spec, 4326, pixel=0.00027)
    metadata.set_text(product, "product/ortho/projection", lambda _: "Geographic")


def _wider(product: Path) -> None:
    metadata.set_text(product, "specific/widthOfOrthoScene", lambda text: str(int(text) + 10))


def _zone(product: Path, spec: ProductSpec) -> None:
    other = replace(spec, epsg=spec.epsg // 100 * 100 + spec.epsg % 100 % 60 + 1)
    metadata.set_text(product, "product/ortho/projection", lambda _: other.projection)


def _mode(product: Path, word: str) -> None:
    metadata.set_text(product, "processing/correctionType", lambda _: word)


def _sun(product: Path, degrees: float) -> None:
    metadata.set_angle(product, "sunElevationAngle", degrees)


def _beyond(product: Path) -> None:
    metadata.set_text(product, "specific/widthOfOrthoScene", lambda _: "1" + "0" * 400)


def _tar_absolute(product: Path) -> Path:
    return files.tar_member(product, f"/{product.name}.zip")


def _tar_slip(product: Path) -> Path:
    return files.tar_member(product, f"../{product.name}.zip")
