"""Patches to compress: synthetic land, and pixels of any image."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice, product
from pathlib import Path

import numpy as np

from spectralearth_build.archive.bands import BANDS, select_bands
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.errors import UsageError
from spectralearth_build.overlap.lattice import WINDOW, Box
from spectralearth_build.store.codec import NODATA, Patch
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.render import render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import ProductSpec

TOLERANCE_NM = 6.0
"""Tolerance of the wavelengths of a product's bands."""
_CLOUDS = 0.05


def synthetic_land(number: int, noise: float = 1.0) -> list[Patch]:
    """Return patches of synthetic land with a few clouds, each of its own scene. Every call returns the same.

    Args:
        number: number of patches.
        noise: factor on the noise of the sensor.
    """
    return list(islice(_patches(noise), number))


def _patches(noise: float) -> Iterator[Patch]:
    spec = ProductSpec()
    spec = ProductSpec(box=Box(spec.box.line, spec.box.col, WINDOW, WINDOW))
    bands = band_set(spec.band_set)
    index = select_bands(bands.wavelength_nm, bands.fwhm_nm, bands.detector.tolist(), TOLERANCE_NM).index
    for seed in count():
        inside = np.ones((WINDOW, WINDOW), bool)
        cube, _ = render(Scene(seed), Sky((seed,), _CLOUDS), spec, inside, noise)
        yield np.ascontiguousarray(cube[index])


def image_patches(path: Path, number: int) -> list[Patch]:
    """Return adjacent patches of a real image, with its first 202 bands that have data.

    Args:
        path: a raster readable by GDAL, int16 with nodata value -32768.
        number: maximum number of patches.

    Raises:
        UsageError: The image has too few bands with data, or is smaller than a patch.
    """
    with open_raster(path) as image:
        cube = image.read()
    cube = cube[(cube != NODATA).any(axis=(1, 2))][:BANDS]
    if cube.dtype != np.int16 or len(cube) < BANDS or min(cube.shape[1:]) < WINDOW:
        raise UsageError(
            f"The image must provide int16 [202, 128, 128], got {cube.dtype} {cube.shape}.",
            path,
            "Give another --image.",
        )
    corners = product(*(range(0, size - WINDOW + 1, WINDOW) for size in cube.shape[1:]))
    cuts = (cube[:, y : y + WINDOW, x : x + WINDOW] for y, x in corners)
    return [np.ascontiguousarray(cut) for cut in islice(cuts, number)]
