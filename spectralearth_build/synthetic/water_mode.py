"""Values of water mode, which stand for normalised water-leaving reflectance in synthetic products.

DLR's processor for water is not reproduced. Here, a value of water mode is the value of land mode minus most of the
pixel's reflectance at 1650 nm, where water is black and only its surface is seen. So the two quantities differ
everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.spec import Layers, ProductSpec

Cube = npt.NDArray[np.int16]
SURFACE_NM = 1650.0
SHARE = 0.9
"""Share of the reflectance at `SURFACE_NM` to subtract."""
WATER = 2
"""Value of QUALITY_CLASSES for water."""


def corrected(cube: Cube, layers: Layers, spec: ProductSpec) -> Cube:
    """Apply the product's correction to an image.

    Args:
        cube: int16 [224, line, col] of land mode.
        layers: its quality layers.
        spec: product with the correction. Water_Mode changes all pixels, Combined those of water.
    """
    if spec.correction not in ("Water_Mode", "Combined"):
        return cube
    surface = cube[int(np.abs(band_set(spec.band_set).wavelength_nm - SURFACE_NM).argmin())]
    chosen = surface != NODATA
    if spec.correction == "Combined":
        chosen &= layers.classes == WATER
    leaving = cube - np.where(chosen, np.round(SHARE * surface), 0)
    return np.where(cube == NODATA, cube, leaving).astype(np.int16)
