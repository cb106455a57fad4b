"""Tiles of one datatake with a hole that only cut finds, and the settings with which it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from spectralearth_build import config as settings
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout
from tests.support.small_archive import BASE, CHOSEN, SIZE

AT_CUT = settings.load(None, CHOSEN | {"scan.validity": "at-cut"})


def spoil_band(image: Path, band: int, lines: slice) -> None:
    """Overwrite the values of a band in an uncompressed image with zeros, as if they had never been written."""
    with rasterio.open(image) as raster:
        height = raster.block_shapes[0][0]
        places = [
            [
                int(raster.get_tag_item(f"BLOCK_{what}_0_{block}", "TIFF", bidx=band))
                for what in ("OFFSET", "SIZE")
            ]
            for block in range(lines.start // height, -(-lines.stop // height))
        ]
    data = bytearray(image.read_bytes())
    for start, size in places:
        data[start : start + size] = bytes(size)
    image.write_bytes(data)


def strip(archive: Path, number: int, line: int, height: int) -> Path:
    """Write a tile of one datatake, 132 pixels wide; returns its image."""
    spec = replace(
        BASE,
        tile=number,
        number_of_tiles=2,
        box=Box(BASE.box.line + line, BASE.box.col, height, SIZE),
        datatake="DT0000000077",
    )
    band, row, col = np.ogrid[:224, :height, :SIZE]
    cube = (3 * band + ((row + line) * 5 + col * 2) % 97 + 200).astype(np.int16)
    folder = write_product(archive, spec, cube, Layers.clear(cube.shape[1:]), Layout(compress="none"))
    return next(folder.glob("*SPECTRAL_IMAGE.TIF"))


def strips_with_hole(archive: Path) -> Path:
    """Tiles of 225 and 175 lines with ten in common. The second has a hole below a window mostly in the first."""
    strip(archive, 1, 0, 225)
    spoil_band(strip(archive, 2, 215, 175), 101, slice(0, 20))
    return archive
