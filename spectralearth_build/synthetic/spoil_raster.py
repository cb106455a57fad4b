"""Ways in which the rasters of a product are damaged. Each function spoils a product folder in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Transformer
from rasterio.transform import Affine
from rasterio.windows import Window

from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.synthetic.spec import Layout, ProductSpec

IMAGE = "SPECTRAL_IMAGE"
_HUGE = 200_000


def find(product: Path, part: str) -> Path:
    """The file of a product whose name contains ``part``."""
    return next(path for path in sorted(product.iterdir()) if part in path.name)


def truncate(product: Path, part: str = IMAGE, keep: float = 0.6) -> None:
    """Cut off the end of a file, as in an interrupted download."""
    path = find(product, part)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def flip_bits(product: Path) -> None:
    """Flip one bit in the middle of the middle strip of every eighth band."""
    path = find(product, IMAGE)
    data = bytearray(path.read_bytes())
    with _quiet(), rasterio.open(path) as source:
        strip = source.height // source.block_shapes[0][0] // 2
        for band in range(1, source.count, 8):
            start, size = (
                int(source.get_tag_item(f"BLOCK_{key}_0_{strip}", "TIFF", bidx=band))
                for key in ("OFFSET", "SIZE")
            )
            data[start + size // 2] ^= 16
    path.write_bytes(data)


def hole(product: Path, interleave: str) -> None:
    """Fill the second half of an uncompressed image with zeros, which GDAL does not notice."""
    path = find(product, IMAGE)
    rewrite(path, compress=None, interleave=interleave)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = bytes(len(data) - half)
    path.write_bytes(data)


def preallocated(product: Path) -> None:
    """Make an uncompressed image that has only its header and zeros."""
    path = find(product, IMAGE)
    pixels, _ = _read(path)
    rewrite(path, np.zeros_like(pixels), compress=None)


def sparse(product: Path) -> None:
    """Leave out the blocks of the lower half; they read as nodata."""
    path = find(product, IMAGE)
    pixels, profile = _read(path)
    half = profile["height"] // 2
    profile |= {"sparse_ok": True, "tiled": True, "blockxsize": 64, "blockysize": 64}
    with _quiet(), rasterio.open(path, "w", **profile) as target:
        target.write(pixels[:, :half], window=Window(0, 0, profile["width"], half))


def huge(product: Path) -> None:
    """Make a small file that claims terabytes."""
    path = find(product, IMAGE)
    _, profile = _read(path)
    profile |= {"width": _HUGE, "height": _HUGE, "sparse_ok": True, "bigtiff": "yes"}
    profile |= {"tiled": True, "blockxsize": 8192, "blockysize": 8192}
    with _quiet(), rasterio.open(path, "w", **profile):
        pass


def as_float(product: Path) -> None:
    """Save the image again as float32 reflectance with NaN for nodata."""
    path = find(product, IMAGE)
    pixels, _ = _read(path)
    floats = np.where(pixels == NODATA, np.nan, pixels * 1e-4).astype(np.float32)
    rewrite(path, floats, dtype="float32", nodata=np.nan)


def nodata_tag(product: Path, value: int | None) -> None:
    """Declare another nodata value, or none; the pixels keep -32768."""
    rewrite(find(product, IMAGE), nodata=value)


def drop_band(product: Path) -> None:
    """Remove the last band."""
    path = find(product, IMAGE)
    pixels, _ = _read(path)
    rewrite(path, pixels[:-1], count=len(pixels) - 1)


def erase(product: Path) -> None:
    """Make an image without a valid pixel."""
    path = find(product, IMAGE)
    pixels, _ = _read(path)
    rewrite(path, np.full_like(pixels, NODATA))


def reorder(product: Path, order: npt.NDArray[np.int64]) -> None:
    """Reorder the bands."""
    path = find(product, IMAGE)
    pixels, _ = _read(path)
    rewrite(path, pixels[order])


def place(product: Path, spec: ProductSpec, epsg: int, shift: float = 0.0, pixel: float = 30.0) -> None:
    """Declare another projection for all rasters, around the tile's centre, shifted by ``shift``."""
    west, south, east, north = spec.box.bounds
    to = Transformer.from_crs(spec.epsg, epsg, always_xy=True)
    x, y = to.transform((west + east) / 2, (south + north) / 2)
    corner = (x - spec.box.width / 2 * pixel + shift, y + spec.box.height / 2 * pixel)
    if epsg == spec.epsg:
        corner = (west + shift, float(north))
    for path in product.glob("*.TIF"):
        rewrite(path, crs=f"EPSG:{epsg}", transform=Affine(pixel, 0, corner[0], 0, -pixel, corner[1]))


def rewrite(path: Path, pixels: npt.NDArray[Any] | None = None, **profile: object) -> None:
    """Write a raster again with other pixels or another profile; None removes an item."""
    old, items = _read(path)
    items = {key: value for key, value in (items | profile).items() if value is not None or key == "nodata"}
    with _quiet(), rasterio.open(path, "w", **items) as target:
        target.write(old if pixels is None else pixels)


def _read(path: Path) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    with _quiet(), rasterio.open(path) as source:
        layout = {key: source.profile.get(key) for key in ("compress", "interleave")}
        plain = {key: source.profile[key] for key in ("driver", "dtype", "count", "width", "height")}
        place = {"crs": source.crs, "transform": source.transform, "nodata": source.nodata}
        return source.read(), plain | place | layout | {"zlevel": Layout.effort}


def _quiet() -> rasterio.Env:
    return rasterio.Env(GDAL_PAM_ENABLED="NO")
