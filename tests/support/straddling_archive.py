"""Two tiles of one datatake with one window across their border."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout
from tests.support.small_archive import BASE, SIZE


def straddling_archive(archive: Path) -> Path:
    """Tiles of 80 lines each, ten of them shared: no window fits into one of them."""
    for number in (1, 2):
        box = Box(BASE.box.line + 70 * (number - 1), BASE.box.col, 80, SIZE)
        spec = replace(BASE, tile=number, number_of_tiles=2, box=box, datatake="DT0000000077")
        band, line, col = np.ogrid[:224, : box.height, : box.width]
        cube = (3 * band + ((line + box.line) * 5 + col * 2) % 97 + 200).astype(np.int16)
        write_product(archive, spec, cube, Layers.clear(cube.shape[1:]), Layout(compress="none"))
    return archive
