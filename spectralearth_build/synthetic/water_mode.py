"""Values of water mode: what stands for normalised water-leaving reflectance in synthetic products.

DLR's processor for water is not rebuilt. Here a value of water mode is that of land mode less most of what the same
pixel reflects at 1650 nm, where water is black and only its surface is seen. So the two quantities differ everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.spec import NODATA, Layers, ProductSpec

Cube = npt.NDArray[np.int16]
SURFACE_NM = 1650.0
SHARE = 0.9
"""How much of it is subtracted."""
WATER = 2
"""QUALITY_CLASSES of water."""


def corrected(cube: Cube, layers: Layers, spec: ProductSpec) -> Cube:
    """The image as the product's correction gives it.

    Args:
        cube: int16 [224, line, col] of land mode.
        layers: its quality layers.
        spec: says the correction. Water_Mode: all pixels are of water mode; Combined: those of water.
    """
    if spec.correction not in ("Water_Mode", "Combined"):
        return cube
    surface = cube[int(np.abs(band_set(spec.band_set).wavelength_nm - SURFACE_NM).argmin())]
    chosen = surface != NODATA
    if spec.correction == "Combined":
        chosen &= layers.classes == WATER
    leaving = cube - np.where(chosen, np.round(SHARE * surface), 0)
    return np.where(cube == NODATA, cube, leaving).astype(np.int16)
