"""Write one product folder in the exact EnMAP L2A format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from spectralearth_build.faults import unwritten
from spectralearth_build.files import replacing, write_bytes
from spectralearth_build.overlap.lattice import NODATA, PIXEL
from spectralearth_build.synthetic.band_sets import BANDS, band_set
from spectralearth_build.synthetic.spec import BACKGROUND, PLAIN, Layer, Layers, Layout, ProductSpec
from spectralearth_build.synthetic.xml import Cube, history_xml, metadata_xml

__all__ = ["LAYERS", "Layers", "Layout", "ProductSpec", "write_product", "write_raster"]

QUALITY = ("CIRRUS", "CLASSES", "CLOUD", "CLOUDSHADOW", "HAZE", "SNOW", "TESTFLAGS")
LAYERS = ("SPECTRAL_IMAGE", "QL_PIXELMASK", *(f"QL_QUALITY_{name}" for name in QUALITY), "QL_SWIR", "QL_VNIR")
"""Names of the raster files of a product."""
_VNIR_NM = (640.0, 550.0, 470.0)
_SWIR_NM = (2200.0, 1650.0, 1050.0)
_QUICKLOOK_WHITE = 4000
"""Value that is white in quicklooks: reflectance 0.4."""


def write_product(
    folder: Path, spec: ProductSpec, cube: Cube, layers: Layers, layout: Layout = PLAIN
) -> Path:
    """Write a product below ``folder``. The same arguments give the same bytes.

    Args:
        folder: folder in which the product's folder, named by its product id, is created.
        spec: identity, position and angles.
        cube: image, int16 [224, line, col], reflectance x 10000, -32768 for nodata.
        layers: quality layers [line, col].
        layout: names and layout of the files.

    Returns:
        The product's folder.
    """
    if cube.shape != (BANDS, spec.box.height, spec.box.width) or cube.dtype != np.int16:
        raise ValueError(f"The image is {cube.dtype} {cube.shape}; the specification asks for another.")
    target = folder / spec.product_id
    target.mkdir(parents=True, exist_ok=True)
    names = {layer: layout.name(spec.product_id, layer) for layer in (*LAYERS, "METADATA", "HISTORY")}
    write_raster(target / names["SPECTRAL_IMAGE"], spec, cube, layout, nodata=NODATA)
    for layer, bands in _small_layers(spec, cube, layers):
        nodata = BACKGROUND if layer.endswith("CLASSES") else None
        write_raster(target / names[layer], spec, bands, layout, nodata=nodata)
    write_bytes(target / names["HISTORY"], history_xml(spec))
    sizes = {path.name: path.stat().st_size for path in sorted(target.iterdir())}
    write_bytes(target / names["METADATA"], metadata_xml(spec, cube, layers, names.values(), sizes))
    return target


def write_raster(
    path: Path, spec: ProductSpec, bands: npt.NDArray[Any], layout: Layout = PLAIN, **profile: object
) -> None:
    """Write a GeoTIFF [band, line, col] on the product's lattice.

    Args:
        path: the file.
        spec: position and projection.
        bands: the values.
        layout: compression, interleaving, blocks.
        profile: further items of the rasterio profile, which override those of the layout.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    west, _, _, north = spec.box.bounds
    options = {
        "driver": "GTiff",
        "dtype": bands.dtype.name,
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": f"EPSG:{spec.epsg}",
        "transform": Affine(PIXEL, 0, west, 0, -PIXEL, north),
        **_creation(layout),
        **profile,
    }
    with replacing(path) as temporary, rasterio.Env(GDAL_PAM_ENABLED="NO"):
        if layout.cog:
            _write_cog(temporary, bands, options, layout)
        else:
            _write(temporary, bands, options)
        if not _holds(temporary, bands):  # GDAL does not report all errors on closing a file
            raise unwritten(temporary)


def _write_cog(path: Path, bands: npt.NDArray[Any], options: dict[str, object], layout: Layout) -> None:
    """Write by way of memory: on a full disk, GDAL deletes the file without an error message."""
    block = {"BLOCKSIZE": layout.block} if layout.block else {}
    with MemoryFile() as plain, MemoryFile() as tiled:
        _write(plain.name, bands, options)
        compress = layout.compress.upper()
        rasterio.shutil.copy(plain.name, tiled.name, driver="COG", COMPRESS=compress, **block)
        path.write_bytes(tiled.getbuffer())


def _write(path: Path | str, bands: npt.NDArray[Any], options: dict[str, object]) -> None:
    with rasterio.open(path, "w", **options) as target:
        target.write(bands)
        if bands.shape[0] == 4:
            target.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def _holds(path: Path, bands: npt.NDArray[Any]) -> bool:
    """Whether a raster can be read and has these values."""
    try:
        with rasterio.open(path) as source:
            return all(
                np.array_equal(source.read(window=window), bands[:, *window.toslices()])
                for _, window in source.block_windows(1)
            )
    except RasterioError:
        return False


def _creation(layout: Layout) -> dict[str, object]:
    options: dict[str, object] = {"interleave": layout.interleave}
    if layout.block:
        options |= {"tiled": True, "blockxsize": layout.block, "blockysize": layout.block}
    if layout.compress != "none":
        options["compress"] = layout.compress
    if layout.compress == "deflate":
        options["zlevel"] = layout.effort
    return options


def _small_layers(spec: ProductSpec, cube: Cube, layers: Layers) -> Iterator[tuple[str, Layer]]:
    """Yield all layers except the image, one at a time, [band, line, col]."""
    quality = (
        layers.cirrus, layers.classes, layers.cloud, layers.shadow, layers.haze, layers.snow, layers.testflags
    )  # fmt: skip
    for name, layer in zip(QUALITY, quality, strict=True):
        yield f"QL_QUALITY_{name}", layer[np.newaxis]
    inside = layers.inside
    yield "QL_PIXELMASK", _pixelmask(cube, inside) if layers.pixelmask is None else layers.pixelmask
    for name, colours in (("QL_SWIR", _SWIR_NM), ("QL_VNIR", _VNIR_NM)):
        yield name, _quicklook(spec, cube, inside, colours)


def _pixelmask(cube: Cube, inside: npt.NDArray[np.bool_]) -> Layer:
    mask: Layer = (cube == NODATA).view(np.uint8)
    mask[:, ~inside] = 255
    return mask


def _quicklook(
    spec: ProductSpec, cube: Cube, inside: npt.NDArray[np.bool_], colours_nm: tuple[float, ...]
) -> Layer:
    wavelengths = band_set(spec.band_set).wavelength_nm
    chosen = [int(np.abs(wavelengths - colour).argmin()) for colour in colours_nm]
    scaled = np.clip(cube[chosen].astype(np.float32) * (255 / _QUICKLOOK_WHITE), 0, 255).astype(np.uint8)
    opaque = np.where(inside, np.uint8(255), np.uint8(0))
    return np.concatenate([np.minimum(scaled, opaque), opaque[np.newaxis]])
