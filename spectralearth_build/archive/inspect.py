"""Read one product for scan: the values of its row in the tile table, and its mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.io import DatasetReader

from spectralearth_build import mask
from spectralearth_build.archive.bands import BandSelection, nominal, select_bands
from spectralearth_build.archive.checks import as_bytes, check_image, check_layer, check_metadata, check_scale
from spectralearth_build.archive.correction import check_correction, correction_of, of_quantity
from spectralearth_build.archive.footprint import footprint
from spectralearth_build.archive.holes import never_written
from spectralearth_build.archive.identity import ContentGuard, encode, with_mask
from spectralearth_build.archive.image_summary import inspect_image, of_few_bands, usable
from spectralearth_build.archive.metadata import Metadata, read_metadata
from spectralearth_build.archive.names import IMAGE, QUALITY, ProductName, parse_name
from spectralearth_build.archive.product import Product
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.config import WIDEST_NM, ScanConfig
from spectralearth_build.errors import BandMismatchError, BrokenMetadataError, NoValidPixelError
from spectralearth_build.overlap.lattice import Box, columns_of
from spectralearth_build.tables import AT_CUT
from spectralearth_build.waive import accepted

BACKGROUND = 3
"""Value of QUALITY_CLASSES outside the swath; the other layers have no such value."""
WATER = 2
SAMPLED = 16
"""Digits of the image's digest that a fingerprint has if scan left the pixels to cut."""

Layers = dict[str, npt.NDArray[np.uint8]]


def inspect_product(
    product: Product, name: ProductName, settings: ScanConfig
) -> tuple[dict[str, Any], mask.Mask]:
    """Read a product once and check it.

    Args:
        product: the product.
        name: the product's name.
        settings: the source of validity, the tolerance of wavelengths, and accepted tiles.

    Returns:
        Columns of the tile table as plain JSON values (times in ISO format, geometry as hexadecimal WKB), and the
        mask [line, col].

    Raises:
        ProductError: the product cannot be used; its subclass says why.
    """
    guard = ContentGuard(product)
    waived = accepted(settings.accept, name.tile_id)
    metadata = read_metadata(product.metadata_path)
    check_metadata(name, metadata, product.metadata_path, waived)
    correction, assumed = correction_of(
        metadata.correction, product.metadata_path, name.tile_id, "correction" in waived
    )
    check_correction(correction, settings.correction, product.path)
    bands = _bands(metadata, product, WIDEST_NM if "bands" in waived else settings.band_tolerance_nm)
    check_scale(metadata, bands.index, product.metadata_path)
    paths = {layer: product.layer(layer) for layer in QUALITY}  # before reading the image, which takes long
    with open_raster(product.image_path) as image:
        epsg, box = check_image(image, metadata, product.image_path, waived)
        layers = dict(_layers(paths, image))
        inside = layers["CLASSES"] < BACKGROUND
        if not inside.any():
            raise NoValidPixelError("No pixel lies inside the swath.", paths["CLASSES"])
        seen = _seen(image, bands.index, inside, settings.validity, waived, name.tile_id)
    valid = of_quantity(
        seen.valid, layers["CLASSES"] == WATER, correction, settings.correction, paths["CLASSES"]
    )
    coded = _mask(valid, layers)
    columns = _columns(name, metadata, bands, epsg, box) | {"valid_fraction": float(valid.mean())}
    if waived:
        columns["accepted"] = " ".join(waived)
    told = json.dumps(columns | _identity(metadata, correction), sort_keys=True).encode()
    guard.require_same()
    digest = hashlib.sha256(told + coded.tobytes() + seen.sums).hexdigest()
    left_to_cut = {AT_CUT: ""} if settings.validity == AT_CUT else {}
    if left_to_cut:  # without a checksum of all pixels, samples of them must do
        digest += guard.content[IMAGE][:SAMPLED]
    values = {
        "correction": correction,
        "correction_assumed": assumed,
        "water_type": metadata.water_type,
        "cirrus_haze_removal": metadata.cirrus_haze_removal,
        "hole_fraction": seen.hole,  # not in the fingerprint: the mask has the holes, and earlier plans lack it
        "fingerprint": digest,
        "content": encode(with_mask(guard.content, coded) | left_to_cut),
        "geometry": shapely.to_wkb(footprint(inside, box, epsg), hex=True),
    }
    return columns | values, coded


def identify(product: Product) -> ProductName:
    """The product's name, from its metadata if its file names do not have it.

    Raises:
        BrokenMetadataError: neither has it.
        ProductError: the metadata cannot be read.
    """
    if product.name is not None:
        return product.name
    name = parse_name(read_metadata(product.metadata_path).name)
    if name is None:
        raise BrokenMetadataError(
            "Neither file names nor metadata have the product's name.", product.metadata_path
        )
    return name


@dataclass(frozen=True, eq=False)
class _Seen:
    """What scan found out about the pixels of an image."""

    valid: npt.NDArray[np.bool_]
    """Pixels that may be used [line, col]; unless all bands were read, cut may find that some of them cannot."""
    hole: float | None = None
    """Pixels in holes / pixels inside the swath; None if the image was not read."""
    sums: bytes = b""
    """Checksum of the pixels; empty if the image was not read."""


def _seen(
    image: DatasetReader,
    index: npt.NDArray[np.int32],
    inside: npt.NDArray[np.bool_],
    validity: str,
    waived: tuple[str, ...],
    tile_id: str,
) -> _Seen:
    """Read as much of an image as the setting ``scan.validity`` asks for.

    An image without any usable pixel is read completely, to say why.
    """
    near = nominal().near
    if validity == "classes":
        return _Seen(inside)
    if validity == "at-cut":
        valid = of_few_bands(image, index, inside, near)
        if "hole" not in waived:
            valid &= ~never_written(image, index, inside)
        if valid.any():
            return _Seen(valid)
    pixels = inspect_image(image, index, inside, near)
    valid = usable(pixels, "hole" in waived, tile_id, image.name)
    return _Seen(valid, float(pixels.hole[inside].mean()), pixels.sums.tobytes())


def _bands(metadata: Metadata, product: Product, tolerance: float) -> BandSelection:
    try:
        return select_bands(metadata.wavelength_nm, metadata.fwhm_nm, metadata.detector, tolerance)
    except BandMismatchError as error:
        raise BandMismatchError(error.what, product.metadata_path) from error


def _layers(paths: dict[str, Any], image: DatasetReader) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    for layer, path in paths.items():
        with open_raster(path) as dataset:
            values = dataset.read(1)  # first, because a truncated file may also lack georeferencing
            check_layer(dataset, image, path)
            yield layer, as_bytes(values, path)


def _mask(valid: npt.NDArray[np.bool_], layers: Layers) -> mask.Mask:
    return mask.encode(
        valid,
        cloud=layers["CLOUD"] != 0,
        shadow=layers["CLOUDSHADOW"] != 0,
        haze=layers["HAZE"] != 0,
        cirrus=layers["CIRRUS"],
        snow=layers["SNOW"] != 0,
        water=layers["CLASSES"] == WATER,
    )


def _columns(
    name: ProductName, metadata: Metadata, bands: BandSelection, epsg: int, box: Box
) -> dict[str, Any]:
    return {
        "product_id": name.product_id,
        "acquired": metadata.started.isoformat(),
        "epsg": epsg,
        **columns_of(box.line, box.col),
        "height": box.height,
        "width": box.width,
        **metadata.known,
        "band_index": bands.index.tolist(),
        "wavelength_nm": bands.wavelength_nm.tolist(),
        "fwhm_nm": bands.fwhm_nm.tolist(),
        "band_deviation_nm": float(np.abs(bands.deviation_nm).max()),
    }


def _identity(metadata: Metadata, correction: str) -> dict[str, Any]:
    """Values that replace values of the row, or are added to them, in a fingerprint.

    Numbers are those of the file, as in all versions. The correction is included only if it is not land mode. So the
    fingerprints of tiles in datasets of earlier versions stay the same.
    """
    return dict(metadata.numbers) | ({} if correction == "land" else {"correction": correction})
