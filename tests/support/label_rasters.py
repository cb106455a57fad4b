"""Rasters around a patch, in any projection and orientation."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer


@cache
def _transformer(epsg, crs):
    return Transformer.from_crs(epsg, crs, always_xy=True)


@dataclass(frozen=True)
class Patch:
    epsg: int = 32632
    west: float = 600_015.0
    north: float = 5_300_025.0

    @property
    def place(self):
        return self.epsg, self.west, self.north

    def grid(self, fine=1):
        """Coordinates of points of every pixel, [128 fine, 128 fine]."""
        at = 30 * (np.arange(128 * fine) + 0.5) / fine
        return np.meshgrid(self.west + at, self.north - at)

    def projected(self, crs, fine=1):
        return _transformer(self.epsg, crs).transform(*self.grid(fine))


@dataclass(frozen=True)
class Shape:
    """A raster around a patch: its system, pixel and orientation."""

    crs: object
    pixel: float
    orientation: str = "north"
    margin: float = 5
    """Pixels around the patch."""
    shift: tuple[float, float] = (0.37, 0.71)
    """Fractions of a pixel, so that no centre lies on an edge."""
    patch: Patch = field(default_factory=Patch)

    def transform(self):
        """The transform and the size."""
        x, y = self.patch.projected(self.crs)
        width, height = x.max() - x.min(), y.max() - y.min()
        size = self.pixel
        cols, lines = (int(side / size + 2 * self.margin) + 2 for side in (width, height))
        west = x.min() - (self.margin + self.shift[0]) * size
        north = y.max() + (self.margin + self.shift[1]) * size
        if self.orientation == "north":
            return Affine(size, 0, west, 0, -size, north), lines, cols
        if self.orientation == "south":
            return Affine(size, 0, west, 0, size, north - lines * size), lines, cols
        if self.orientation == "mirrored":
            return Affine(-size, 0, west + cols * size, 0, -size, north), lines, cols
        span, turn = max(lines, cols) * 3, np.radians(33)
        a, b, d, e = (
            size * np.cos(turn),
            -0.8 * size * np.sin(turn),
            size * np.sin(turn),
            0.8 * size * np.cos(turn),
        )
        east, north = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
        half = span / 2
        return Affine(a, b, east - half * (a + b), d, e, north - half * (d + e)), span, span


def pixels(transform, x, y):
    """Lines and columns of places, as real numbers."""
    inverse = ~transform
    with np.errstate(invalid="ignore"):  # a projection may have no such place
        return inverse.d * x + inverse.e * y + inverse.f, inverse.a * x + inverse.b * y + inverse.c


def write(folder, values, transform, crs, name="labels.tif", **profile):
    """Write a raster and return its path."""
    path = folder / name
    height, width = values.shape[-2:]
    bands = values if values.ndim == 3 else values[np.newaxis]
    options = {"driver": "GTiff", "height": height, "width": width, "count": len(bands)}
    options |= {"dtype": bands.dtype.name, "crs": crs, "transform": transform} | profile
    with rasterio.open(path, "w", **options) as target:
        target.write(bands)
    return path


def noise(folder, shape, codes=200, dtype=np.uint8, **profile):
    """Write a raster of random codes around a patch; returns path, values and transform."""
    transform, lines, cols = shape.transform()
    values = np.random.default_rng(0).integers(1, codes, (lines, cols)).astype(dtype)
    return write(folder, values, transform, shape.crs, **profile), values, transform


def one_by_one(values, transform, crs, patch, nodata, fine=1):
    """The source pixel of each point, found one after the other."""
    out = np.full((128 * fine, 128 * fine), nodata, values.dtype)
    x, y = patch.projected(crs, fine)
    for i, j in np.ndindex(out.shape):
        line, col = (int(np.floor(v)) for v in pixels(transform, x[i, j], y[i, j]))
        if 0 <= line < values.shape[0] and 0 <= col < values.shape[1]:
            out[i, j] = values[line, col]
    return out
