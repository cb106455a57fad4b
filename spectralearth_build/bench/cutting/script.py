"""The script that a user would write without this package: rasterio in, Zarr out. `bench build` measures both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
import zarr
from zarr.codecs import BloscCodec

from spectralearth_build.overlap.lattice import NODATA, WINDOW

Corner = tuple[int, int]
"""Line and column of a window's upper-left pixel in the image."""


def run(images: Mapping[Path, Sequence[Corner]], bands: Sequence[int], store: Path, shard_rows: int) -> int:
    """Read each image once, check its pixels, and write its windows to a sharded array. Returns the number written.

    Args:
        images: windows of each image. Where they are is given, so that both sides write the same.
        bands: 0-based bands to keep.
        store: folder of the array.
        shard_rows: patches per shard; the last shard of an image is padded.
    """
    rows = {image: -(-len(corners) // shard_rows) * shard_rows for image, corners in images.items()}
    patch = (len(bands), WINDOW, WINDOW)
    array = zarr.create_array(
        store,
        shape=(sum(rows.values()), *patch),
        dtype="int16",
        chunks=(1, *patch),
        shards=(shard_rows, *patch),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
        fill_value=NODATA,
    )
    first, written = 0, 0
    for image, corners in images.items():
        with rasterio.open(image) as source:
            cube = source.read([band + 1 for band in bands])
        with rasterio.open(str(image).replace("SPECTRAL_IMAGE", "QL_QUALITY_CLASSES")) as source:
            valid = (source.read(1) != 3) & (cube != NODATA).all(axis=0)
        for start in range(0, len(corners), shard_rows):
            some = corners[start : start + shard_rows]
            shard = np.full((shard_rows, *patch), NODATA, np.int16)
            for place, (line, col) in enumerate(some):
                where = np.s_[line : line + WINDOW, col : col + WINDOW]
                if valid[where].all():
                    shard[place] = cube[:, *where]
                    written += 1
            array[first + start : first + start + shard_rows] = shard
        first += rows[image]
    return written
