"""Bilinear resampling from one UTM zone's lattice to another's: exact coordinates, the same for any window size.

Every target pixel's centre is projected by itself, so a pixel has one value however the work is divided. (GDAL's
warper interpolates coordinates over the window it is given; its results differ with the window.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import ORIGIN, PIXEL, Box

Grid = npt.NDArray[np.float64]
NODATA = -32768
_NEAR = 1e-9


@lru_cache(maxsize=64)
def transformer(source_epsg: int, target_epsg: int) -> Transformer:
    """The projection from one zone to another, x and y in this order."""
    return Transformer.from_crs(source_epsg, target_epsg, always_xy=True)


def source_grid(target: Box, target_epsg: int, source_epsg: int) -> tuple[Grid, Grid]:
    """Where the centres of a target box's pixels lie on another lattice.

    Returns:
        Lines and columns, float64 [height, width]; the centre of pixel (l, c) is at l + 0.5, c + 0.5.
    """
    x = ORIGIN + PIXEL * (np.arange(target.col, target.stop_col) + 0.5)
    y = ORIGIN - PIXEL * (np.arange(target.line, target.stop_line) + 0.5)
    east, north = transformer(target_epsg, source_epsg).transform(*np.meshgrid(x, y))
    return (ORIGIN - np.asarray(north)) / PIXEL, (np.asarray(east) - ORIGIN) / PIXEL


def support(lines: Grid, cols: Grid) -> Box:
    """The smallest source box that holds every pixel with weight in the result."""
    line, col = (int(np.floor(v.min() - 0.5)) for v in (lines, cols))
    stop_line, stop_col = (int(np.floor(v.max() - 0.5)) + 2 for v in (lines, cols))
    return Box(line, col, stop_line - line, stop_col - col)


def bilinear(pixels: npt.NDArray[np.int16], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.int16]:
    """Interpolate int16 pixels [band, line, col] that cover ``box`` at ``lines``, ``cols`` [h, w].

    Returns:
        int16 [band, h, w], rounded to nearest; nodata where a pixel with weight is nodata or outside the box.
    """
    out = np.full((pixels.shape[0], *lines.shape), NODATA, np.int16)
    _bilinear(pixels, lines - box.line - 0.5, cols - box.col - 0.5, out)
    return out


def bilinear_valid(valid: npt.NDArray[np.bool_], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.bool_]:
    """Which points `bilinear` can interpolate: every pixel with weight is valid and inside the box."""
    as_pixels = np.where(valid, 0, NODATA).astype(np.int16)[np.newaxis]
    return np.asarray(bilinear(as_pixels, box, lines, cols)[0] != NODATA)


def nearest(values: npt.NDArray[np.uint8], box: Box, lines: Grid, cols: Grid) -> npt.NDArray[np.uint8]:
    """Values [line, col] covering ``box`` of the pixels that the points fall into; 0 outside."""
    line, col = (np.floor(v).astype(np.int64) - o for v, o in ((lines, box.line), (cols, box.col)))
    inside = (line >= 0) & (line < box.height) & (col >= 0) & (col < box.width)
    return np.where(inside, values[np.where(inside, line, 0), np.where(inside, col, 0)], 0).astype(np.uint8)


@kernel
def _bilinear(pixels: npt.NDArray[np.int16], lines: Grid, cols: Grid, out: npt.NDArray[np.int16]) -> None:
    bands, height, width = pixels.shape
    for i in range(lines.shape[0]):
        for j in range(lines.shape[1]):
            line, col = int(np.floor(lines[i, j])), int(np.floor(cols[i, j]))
            down, right = lines[i, j] - line, cols[i, j] - col
            # A point on a pixel centre needs no neighbour; without this, a border pixel would be lost.
            below = line + (1 if down > _NEAR else 0)
            beside = col + (1 if right > _NEAR else 0)
            if line < 0 or col < 0 or below >= height or beside >= width:
                continue
            for band in range(bands):
                a, b = pixels[band, line, col], pixels[band, line, beside]
                c, d = pixels[band, below, col], pixels[band, below, beside]
                if a == NODATA or b == NODATA or c == NODATA or d == NODATA:
                    continue
                top = a + (float(b) - a) * right
                bottom = c + (float(d) - c) * right
                out[band, i, j] = round(top + (bottom - top) * down)
