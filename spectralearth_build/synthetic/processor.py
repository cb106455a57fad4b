"""Imitate what generations of the processor make of sea, snow and bright ground, and provide a ground with a coast.

Observed in real products: up to V0101, about half of the reflectances over water are negative; V0103 clips them at 0,
and 135 of the 202 kept bands are exactly 0 in at least 95 % of the pixels of open water. Snow and cloud tops exceed
reflectance 1. TESTFLAGS marks pixels that are interpolated (bits 2 and 3, SWIR and VNIR) or saturated (bits 4 and 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.synthetic import spectra
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.scene import Scene, Weights
from spectralearth_build.synthetic.spec import Layers, ProductSpec
from spectralearth_build.synthetic.xml import Cube

CLIPS_FROM = "V010300"
"""First version that clips reflectance at 0. Observed: V010110 does not, V010302 does; the exact version is a guess."""
WIDE = 0.3
"""Width of the sea, degrees: that of a real tile."""
_DARK_NM = 805.0
"""Wavelength beyond which clipped water is 0; 135 of the nominal 202 bands are beyond it."""
_OVERCORRECTED = 2.2
"""Reflectance of water below 0 before clipping, in standard deviations of the noise."""
_GLARE = 1.25
"""Factor on snow below 1000 nm, for slopes that face the sun."""
_FULL = 11_500
"""Value above which VNIR counts as saturated here."""
INTERPOLATED, SATURATED = 1 << 2, 1 << 5
"""Bits of TESTFLAGS that are set here: interpolated SWIR, saturated VNIR."""


@dataclass(frozen=True)
class Coast(Scene):
    """The same ground with open sea, `WIDE` degrees wide, south of a parallel."""

    shore: float = -90.0
    """Latitude of the coast, degrees."""

    def abundances(self, lon: npt.ArrayLike, lat: npt.ArrayLike, moment: datetime) -> Weights:
        """Shares of the surfaces of `spectra.SURFACES`, float32 [6, *shape]."""
        shares = super().abundances(lon, lat, moment)
        sea = np.zeros_like(shares)
        sea[spectra.SURFACES.index("water")] = 1
        south = self.shore - np.asarray(lat, dtype=float)
        return np.where((south > 0) & (south < WIDE), sea, shares)


def processed(cube: Cube, layers: Layers, spec: ProductSpec) -> tuple[Cube, Layers]:
    """The pixels and layers that the processor of a product's version delivers.

    Args:
        cube: int16 [224, line, col], reflectance x 10000.
        layers: quality layers of the image.
        spec: the product; its version and datatake are used.

    Returns:
        New pixels, and layers with bits of TESTFLAGS set.
    """
    bands = band_set(spec.band_set)
    water = spectra.surfaces(bands.wavelength_nm)[spectra.SURFACES.index("water")]
    depth = 1e4 * (water + _OVERCORRECTED * spectra.noise(bands.wavelength_nm))
    inside, sea = layers.inside, layers.classes == 2
    snow = inside & (layers.snow == 1)
    lost = inside & np.roll(inside, 1, axis=1) & np.roll(inside, -1, axis=1) & _lost(spec)
    saturated = np.zeros_like(inside)
    out = np.empty_like(cube)
    for band, nm in enumerate(bands.wavelength_nm):
        values = cube[band].astype(np.float64)
        known = cube[band] != NODATA
        if nm < 1000:
            values[snow] *= _GLARE
        if bands.detector[band] == "VNIR":
            saturated |= snow & (values > _FULL)
            values = np.minimum(values, _FULL)
        else:
            values = np.where(lost, (np.roll(values, 1, axis=1) + np.roll(values, -1, axis=1)) / 2, values)
        if spec.version >= CLIPS_FROM:
            values[sea] -= depth[band] if nm > _DARK_NM else 0
            values = np.maximum(values, 0)
        out[band] = np.where(known, np.rint(values), NODATA)
    bits = np.where(saturated, SATURATED, 0) | np.where(lost, INTERPOLATED, 0)
    return out, replace(layers, testflags=(layers.testflags | bits).astype(np.uint8))


def _lost(spec: ProductSpec) -> npt.NDArray[np.bool_]:
    """The pixels of a dead element of the SWIR detector: a line along the track [line, col]."""
    line, col = np.mgrid[: spec.box.height, : spec.box.width]
    start = spec.box.width * (3 + int(spec.datatake[2:]) % 5) // 10
    return np.asarray(col == start - line // 4)
