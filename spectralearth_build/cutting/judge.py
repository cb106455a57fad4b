"""Find the pixels of a tile that have no data, while the tile is decoded: what scan leaves to cut."""

from __future__ import annotations

import math
import threading

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader

from spectralearth_build.archive.bands import nominal
from spectralearth_build.archive.checks import as_bytes
from spectralearth_build.archive.image_summary import ImagePass, usable
from spectralearth_build.archive.inspect import BACKGROUND
from spectralearth_build.archive.product import Product
from spectralearth_build.archive.raster import Pixels, RasterPart, open_raster
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.store.codec import Patch
from spectralearth_build.store.planned_tiles import SourceTile

Flags = npt.NDArray[np.bool_]


class Judge:
    """Judges all pixels of a tile by the rules of scan, part by part, in any order and by any number of threads.

    Args:
        product: the product.
        image: its image.
        index: 0-based kept bands.
        source: the tile.

    Raises:
        ProductError: The layer with the swath cannot be read.
    """

    def __init__(
        self, product: Product, image: DatasetReader, index: npt.NDArray[np.int32], source: SourceTile
    ) -> None:
        path = product.layer("CLASSES")
        with open_raster(path) as classes:
            inside = as_bytes(classes.read(1), path) < BACKGROUND
        self._index, self._source = index, source
        self._pass = ImagePass(image, index, inside, checksum=False)
        self._held = threading.local()

    def read(self, image: DatasetReader, part: RasterPart, out: Patch, box: Box) -> None:
        """Decode a part, judge it, and copy what lies in a box.

        Args:
            image: the image.
            part: one of the parts into which `raster.chunks` divides the image.
            out: int16 [band, line, col], the pixels of the box.
            box: the box, on the lattice.
        """
        values = self._own_part(part)
        image.read([int(i) + 1 for i in self._index[part.bands]], window=part.window, out=values)
        self._pass.look(part, values)
        place = self._source.box
        covered = Box(
            place.line + part.rows.start,
            place.col + part.cols.start,
            part.rows.stop - part.rows.start,
            part.cols.stop - part.cols.start,
        )
        shared = covered.intersection(box)
        if shared is not None:
            out[part.bands, *shared.slices(box)] = values[:, *shared.slices(covered)]

    def _own_part(self, part: RasterPart) -> Pixels:
        """Return memory of this thread for a part [band, line, col], which the next part overwrites."""
        shape = tuple(s.stop - s.start for s in (part.bands, part.rows, part.cols))
        size = math.prod(shape)
        held: Pixels | None = getattr(self._held, "part", None)
        if held is None or held.size < size:
            held = self._held.part = np.empty(size, np.int16)
        return held[:size].reshape(shape)

    def usable(self, image: DatasetReader, path: str) -> Flags:
        """Return the pixels that can be used [line, col], once all parts are read.

        Raises:
            NoValidPixelError, HoleError: There are none.
        """
        pixels = self._pass.result(image, nominal().near)
        return usable(pixels, self._source.hole_is_data, self._source.tile_id, path)
