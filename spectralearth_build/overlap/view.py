"""A tile on a lattice: the pixels that it can provide there, and their quality flags."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.mask import CIRRUS, CIRRUS_SHIFT, CLOUD, HAZE, SHADOW, SNOW, VALID, WATER, Mask
from spectralearth_build.overlap.lattice import PIXEL, WINDOW, Box, col_at, line_at
from spectralearth_build.overlap.mask_layers import runs_of_layers
from spectralearth_build.overlap.polygon import region_of_footprint
from spectralearth_build.overlap.region import Region
from spectralearth_build.overlap.resample import bilinear_valid, nearest, source_grid, transformer
from spectralearth_build.overlap.zones import owned

FLAGS = ("cloud", "shadow", "haze", "cirrus", "thick_cirrus", "snow", "water")
"""Quality layers of a view; ``thick_cirrus`` is cirrus at or above the level of the configuration."""


@dataclass(frozen=True)
class Tile:
    """The properties of a tile that planning needs."""

    tile_id: str
    datatake: str
    number: int
    """Tile number within the datatake."""
    epsg: int
    """EPSG code of its raster's lattice."""
    box: Box
    """The raster's box on that lattice."""
    footprint: BaseGeometry
    """Footprint in longitude and latitude."""
    day: int = 0
    """Day of acquisition, counted from 1970-01-01."""


@dataclass(frozen=True, eq=False)
class View:
    """A tile on a lattice: its own, or that of a neighbouring zone."""

    tile: Tile
    native: bool
    """Whether this is the tile's own lattice; otherwise its pixels must be resampled."""
    valid: Region
    """Pixels with data in every kept band."""
    flags: MappingProxyType[str, Region]
    """For each of `FLAGS`, the valid pixels that have it."""


def view(tile: Tile, mask: Mask | None, epsg: int, cirrus_level: int, size: int = WINDOW) -> View:
    """Make the view of a tile on the lattice ``epsg``.

    Args:
        tile: the tile.
        mask: mask [line, col] of the tile on its own lattice; None if only the footprint is known.
        epsg: EPSG code of the lattice.
        cirrus_level: lowest cirrus level that counts as thick.
        size: edge of a window; it limits the area that is resampled to another lattice.
    """
    native = epsg == tile.epsg
    if mask is None:
        return View(
            tile,
            native,
            region_of_footprint(tile.footprint, epsg),
            MappingProxyType(dict.fromkeys(FLAGS, Region.empty())),
        )
    box, seen = (tile.box, mask) if native else _resampled(tile, mask, epsg, size)
    valid, *flags = (Region(r) for r in runs_of_layers(seen, _layers(cirrus_level), box.line, box.col))
    return View(tile, native, valid, MappingProxyType(dict(zip(FLAGS, flags, strict=True))))


def _layers(cirrus_level: int) -> list[npt.NDArray[np.bool_]]:
    """Which byte values of a mask are valid, and which have each of `FLAGS`."""
    every = np.arange(256)
    cirrus = (every & CIRRUS) >> CIRRUS_SHIFT
    flags = {
        "cloud": every & CLOUD > 0,
        "shadow": every & SHADOW > 0,
        "haze": every & HAZE > 0,
        "cirrus": cirrus > 0,
        "thick_cirrus": cirrus >= cirrus_level,
        "snow": every & SNOW > 0,
        "water": every & WATER > 0,
    }
    return [every & VALID > 0, *(flags[name] for name in FLAGS)]


def _resampled(tile: Tile, mask: Mask, epsg: int, size: int) -> tuple[Box, Mask]:
    """The mask on another lattice, limited to the area that windows of that zone can reach."""
    reach = _reach(tile, epsg, size)
    if reach is None:
        return Box(0, 0, 0, 0), np.zeros((0, 0), np.uint8)
    lines, cols = source_grid(reach, epsg, tile.epsg)
    valid = bilinear_valid((mask & VALID) > 0, tile.box, lines, cols)
    return reach, np.where(valid, nearest(mask, tile.box, lines, cols), 0).astype(np.uint8)


def _reach(tile: Tile, epsg: int, size: int) -> Box | None:
    """The box in which the tile's raster meets windows that the zone ``epsg`` owns."""
    edge = shapely.segmentize(shapely.box(*tile.box.bounds), 100 * PIXEL)
    x, y = transformer(tile.epsg, epsg).transform(*shapely.get_coordinates(edge).T)
    cols, lines = col_at(x), line_at(y)
    line, col = int(np.floor(lines.min())), int(np.floor(cols.min()))
    whole = Box(line, col, int(np.ceil(lines.max())) - line, int(np.ceil(cols.max())) - col)
    home = owned(epsg, whole.line - size, whole.stop_line, size).box
    return whole.intersection(Box(home.line, home.col, home.height + size, home.width + size))
