"""Cross-checks: name against metadata, metadata against raster, raster against the lattice."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from spectralearth_build.archive.metadata import CORNERS, Metadata
from spectralearth_build.archive.names import ProductName
from spectralearth_build.errors import (
    BandMismatchError,
    MetadataMismatchError,
    OffLatticeError,
    OutsideUtmError,
    WrongLevelError,
    WrongTypeError,
)
from spectralearth_build.overlap.lattice import PIXEL, Box, box_of_raster
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.waive import how

NORTH, SOUTH = 84.0, -80.0
"""Latitudes where UTM ends."""
CORNER_PIXELS = 20
"""Largest distance, pixels, between the borders of the raster and of the footprint in the metadata. In ten catalogue
items it is at most 1.1; level 0 footprints, which ignore the terrain, differ by up to 10."""
GAIN = 1e-4
"""Factor from stored values to reflectance; all ten catalogue items have this factor, with offset 0."""
GAIN_TOLERANCE = 5e-5
"""Relative tolerance for rounding in the metadata: a factor within it changes no value up to reflectance 1 by more
than half a count."""


def check_metadata(name: ProductName, metadata: Metadata, path: Path, waived: Collection[str] = ()) -> None:
    """Check that the metadata match the product's name, and that level and latitude are supported.

    Args:
        name: the product's name.
        metadata: its metadata.
        path: the metadata file.
        waived: checks of `waive.CHECKS` to skip.

    Raises:
        WrongLevelError: the product is not L2A.
        MetadataMismatchError: the metadata belong to another tile.
        OutsideUtmError: the tile is outside the latitudes of UTM.
    """
    if metadata.level not in ("", "L2A"):
        raise WrongLevelError(f"The metadata are of level {metadata.level[:20]}.", path)
    if (metadata.datatake, metadata.tile) != (name.datatake, name.tile):
        raise MetadataMismatchError(
            f"The metadata belong to {metadata.datatake}_{metadata.tile:03d}, the files to {name.tile_id}.",
            path,
            "Put each product into its own folder, with the files as delivered.",
        )
    latitude = float(np.mean([metadata.corners[frame][1] for frame in CORNERS]))
    if not SOUTH <= latitude <= NORTH and "latitude" not in waived:
        raise OutsideUtmError(f"The tile lies at latitude {latitude:.2f}.", path)


def check_scale(metadata: Metadata, index: npt.NDArray[np.int32], path: Path) -> None:
    """Check that the kept bands have the usual scale. Bands without gain are not checked.

    Args:
        metadata: the metadata.
        index: 0-based kept bands.
        path: the metadata file.

    Raises:
        MetadataMismatchError: values are scaled differently.
    """
    gain, offset = np.nan_to_num(metadata.gain[index], nan=GAIN), np.nan_to_num(metadata.offset[index])
    if not (np.allclose(gain, GAIN, rtol=GAIN_TOLERANCE, atol=0) and np.all(offset == 0)):
        remedy = "Use DLR's L2A product as delivered. Output of other processors is not supported."
        raise MetadataMismatchError(f"Values are not reflectance times {1 / GAIN:.0f}.", path, remedy)


def check_image(
    image: DatasetReader, metadata: Metadata, path: Path, waived: Collection[str] = ()
) -> tuple[int, Box]:
    """Compare the spectral image with the metadata.

    Args:
        image: the image.
        metadata: the metadata.
        path: the file of the image.
        waived: checks of `waive.CHECKS` to skip.

    Returns:
        EPSG code of the image's lattice, and its box on that lattice.

    Raises:
        WrongTypeError: the image is not int16.
        BandMismatchError: the numbers of bands and of wavelengths differ.
        MetadataMismatchError: size, coordinate system or position differ.
        OffLatticeError: the image is not on a lattice.
    """
    if set(image.dtypes) != {"int16"}:
        raise WrongTypeError(f"The image is {image.dtypes[0]}, not int16.", path)
    if image.count != len(metadata.wavelength_nm):
        raise BandMismatchError(
            f"The image has {image.count} bands, its metadata {len(metadata.wavelength_nm)} wavelengths.",
            path,
        )
    if (image.height, image.width) != (metadata.height, metadata.width) and "size" not in waived:
        cut = image.height <= metadata.height and image.width <= metadata.width
        raise MetadataMismatchError(
            f"The image has {image.height} x {image.width} pixels, the metadata say"
            f" {metadata.height} x {metadata.width}{': it looks like a crop' if cut else ''}.",
            path,
            f"Use the product as delivered. To use this part of it, type {_how(metadata, 'size')}.",
        )
    epsg = _epsg(image)
    if epsg != metadata.epsg:
        found = "no known coordinate system" if epsg is None else f"EPSG:{epsg}"
        raise MetadataMismatchError(
            f"The image has {found}, the metadata say {metadata.projection[:40]}.",
            path,
            "Use the product as delivered, not a reprojected copy.",
        )
    if epsg is None or epsg // 100 not in (326, 327) or not 1 <= epsg % 100 <= 60:
        raise OffLatticeError(f"The coordinate system is {metadata.projection[:40]}, not UTM.", path)
    box = _box(image, path)
    if "corners" not in waived:
        _check_corners(metadata, box, epsg, path)
    return epsg, box


def check_layer(layer: DatasetReader, image: DatasetReader, path: Path) -> None:
    """Compare a quality layer with the image.

    Raises:
        WrongTypeError: the layer does not have an integer type.
        MetadataMismatchError: the layer is on another grid.
    """
    if np.dtype(layer.dtypes[0]).kind not in "iu":
        raise WrongTypeError(f"The layer is {layer.dtypes[0]}, not an integer type.", path)
    if (layer.shape, _epsg(layer)) != (image.shape, _epsg(image)) or not layer.transform.almost_equals(
        image.transform
    ):
        remedy = "Use all files of the product as delivered. Do not crop or reproject any of them."
        raise MetadataMismatchError("The layer is not on the grid of the image.", path, remedy)


def place_of(image: DatasetReader) -> tuple[int | None, Box | None]:
    """EPSG code of a raster and its box on that lattice; None if PROJ does not know the code, or if off the lattice."""
    grid = image.transform
    box = box_of_raster(grid.c, grid.f, (grid.a, -grid.e), image.shape) if grid.b == grid.d == 0 else None
    return _epsg(image), box


def as_bytes(values: npt.NDArray[Any], path: Path) -> npt.NDArray[np.uint8]:
    """The values of a quality layer as uint8, whatever integer type they are stored in.

    Raises:
        WrongTypeError: some values are below 0 or above 255.
    """
    if values.dtype != np.uint8 and not (values.min() >= 0 and values.max() <= 255):
        raise WrongTypeError(f"The layer holds values from {values.min()} to {values.max()}.", path)
    return values.astype(np.uint8, copy=False)


def _epsg(dataset: DatasetReader) -> int | None:
    try:
        code = dataset.crs.to_epsg() if dataset.crs else None
    except CRSError:
        return None
    return None if code is None else int(code)


def _box(image: DatasetReader, path: Path) -> Box:
    _, box = place_of(image)
    if box is None:
        grid = image.transform
        raise OffLatticeError(
            f"The raster has pixels of {grid.a:g} x {-grid.e:g} m from {grid.c:.9g}, {grid.f:.9g} on,"
            " which is not on the 30 m lattice.",
            path,
        )
    return box


def _check_corners(metadata: Metadata, box: Box, epsg: int, path: Path) -> None:
    lon, lat = np.array([metadata.corners[frame] for frame in CORNERS]).T
    x, y = transformer(4326, epsg).transform(lon, lat)
    found = np.array([np.min(x), np.min(y), np.max(x), np.max(y)])
    off = np.abs(found - np.array(box.bounds)).max() / PIXEL
    if not off <= CORNER_PIXELS:  # also where a corner cannot be projected
        raise MetadataMismatchError(
            f"The footprint in the metadata is {off:.0f} pixels from the raster; at most {CORNER_PIXELS} are allowed.",
            path,
            f"Use the product as delivered. To use this part of it, type {_how(metadata, 'corners')}.",
        )


def _how(metadata: Metadata, check: str) -> str:
    return how(f"{metadata.datatake}_{metadata.tile:03d}", check)
