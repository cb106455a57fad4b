"""Cross-checks: name against metadata, metadata against raster, raster against the lattice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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

NORTH, SOUTH = 84.0, -80.0
"""Latitudes where UTM ends."""
CORNER_PIXELS = 20
"""Largest distance between the raster's borders and those of the footprint in the metadata. In ten catalogue items
it is at most 1.1; footprints of level 0, which ignore the terrain, differ by up to 10."""
GAIN = 1e-4
"""Factor from stored values to reflectance; all ten catalogue items have it, with offset 0."""


def check_metadata(name: ProductName, metadata: Metadata, path: Path) -> None:
    """Compare metadata with the product's name and with what can be used at all.

    Raises:
        WrongLevelError: it is no L2A product.
        MetadataMismatchError: it belongs to another tile, or values are scaled differently.
        OutsideUtmError: the tile lies beyond UTM.
    """
    if metadata.level not in ("", "L2A"):
        raise WrongLevelError(f"The metadata are of level {metadata.level[:20]}.", path)
    if (metadata.datatake, metadata.tile) != (name.datatake, name.tile):
        raise MetadataMismatchError(
            f"The metadata are of {metadata.datatake}_{metadata.tile:03d}, the files of {name.tile_id}.", path
        )
    latitude = float(np.mean([metadata.corners[frame][1] for frame in CORNERS]))
    if not SOUTH <= latitude <= NORTH:
        raise OutsideUtmError(f"The tile lies at latitude {latitude:.2f}.", path)
    gain, offset = np.nan_to_num(metadata.gain, nan=GAIN), np.nan_to_num(metadata.offset)
    if not (np.allclose(gain, GAIN, rtol=1e-6, atol=0) and np.all(offset == 0)):
        raise MetadataMismatchError(f"Values are not reflectance times {1 / GAIN:.0f}.", path)


def check_image(image: DatasetReader, metadata: Metadata, path: Path) -> tuple[int, Box]:
    """Compare the spectral image with the metadata.

    Returns:
        EPSG code of its lattice, and its box on it.

    Raises:
        WrongTypeError: it is not int16.
        BandMismatchError: it has more or fewer bands than there are wavelengths.
        MetadataMismatchError: size, coordinate system or place differ.
        OffLatticeError: it is not on a lattice.
    """
    if set(image.dtypes) != {"int16"}:
        raise WrongTypeError(f"The image is {image.dtypes[0]}, not int16.", path)
    if image.count != len(metadata.wavelength_nm):
        raise BandMismatchError(
            f"The image has {image.count} bands, its metadata {len(metadata.wavelength_nm)} wavelengths.",
            path,
        )
    if (image.height, image.width) != (metadata.height, metadata.width):
        raise MetadataMismatchError(
            f"The image has {image.height} x {image.width} pixels, the metadata say"
            f" {metadata.height} x {metadata.width}.",
            path,
        )
    epsg = _epsg(image)
    if epsg != metadata.epsg:
        found = "no known coordinate system" if epsg is None else f"EPSG:{epsg}"
        raise MetadataMismatchError(
            f"The image has {found}, the metadata say {metadata.projection[:40]}.", path
        )
    if epsg is None or epsg // 100 not in (326, 327) or not 1 <= epsg % 100 <= 60:
        raise OffLatticeError(f"The coordinate system is {metadata.projection[:40]}, not UTM.", path)
    box = _box(image, path)
    _check_corners(metadata, box, epsg, path)
    return epsg, box


def check_layer(layer: DatasetReader, image: DatasetReader, path: Path) -> None:
    """Compare a quality layer with the image.

    Raises:
        WrongTypeError: it is not uint8.
        MetadataMismatchError: it is on another grid.
    """
    if layer.dtypes[0] != "uint8":
        raise WrongTypeError(f"The layer is {layer.dtypes[0]}, not uint8.", path)
    if (layer.shape, _epsg(layer)) != (image.shape, _epsg(image)) or not layer.transform.almost_equals(
        image.transform
    ):
        raise MetadataMismatchError("The layer is not on the grid of the image.", path)


def place_of(image: DatasetReader) -> tuple[int | None, Box | None]:
    """EPSG code and box on that lattice of a raster; None for a code that PROJ does not know, or off any lattice."""
    grid = image.transform
    box = box_of_raster(grid.c, grid.f, (grid.a, -grid.e), image.shape) if grid.b == grid.d == 0 else None
    return _epsg(image), box


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
            f"The borders of the footprint in the metadata are {off:.0f} pixels from the raster's.", path
        )
