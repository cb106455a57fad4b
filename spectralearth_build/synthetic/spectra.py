"""Plausible spectra of a few surfaces, and the effects of atmosphere and sensor, as functions of wavelength."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Spectrum = npt.NDArray[np.float64]

SURFACES = ("vegetation", "dry vegetation", "soil", "water", "urban", "snow")
"""Endmembers, in the order of all abundance arrays."""


def _bump(nm: Spectrum, centre: float, width: float) -> Spectrum:
    return np.exp(-0.5 * ((nm - centre) / width) ** 2)


def _step(nm: Spectrum, centre: float, width: float) -> Spectrum:
    return 1 / (1 + np.exp((centre - nm) / width))


def _leaf_water(nm: Spectrum) -> Spectrum:
    """Transmission of liquid water in a leaf: absorption at 970, 1200, 1450, 1940 and beyond 2400 nm."""
    depth = (
        0.08 * _bump(nm, 970, 25)
        + 0.15 * _bump(nm, 1200, 40)
        + 0.75 * _bump(nm, 1450, 60)
        + 1.2 * _bump(nm, 1940, 75)
        + 0.9 * _bump(nm, 2520, 160)
        + 0.9 * _step(nm, 1350, 40)
    )
    return np.exp(-depth)


def _vegetation(nm: Spectrum) -> Spectrum:
    visible = 0.04 + 0.07 * _bump(nm, 550, 28) + 0.01 * _bump(nm, 690, 12)
    return visible + 0.43 * _step(nm, 717, 12) * _leaf_water(nm)


def _dry_vegetation(nm: Spectrum) -> Spectrum:
    rise = 0.07 + 0.33 * _step(nm, 720, 130)
    cellulose = 1 - 0.22 * _bump(nm, 2100, 50) - 0.12 * _bump(nm, 2310, 45) - 0.10 * _bump(nm, 1730, 35)
    return rise * cellulose * (1 - 0.25 * _bump(nm, 1450, 60) - 0.35 * _bump(nm, 1930, 70))


def _soil(nm: Spectrum) -> Spectrum:
    rise = 0.06 + 0.30 * (1 - np.exp(-(nm - 380) / 650))
    minerals = 1 - 0.05 * _bump(nm, 900, 70) - 0.14 * _bump(nm, 2205, 22) - 0.06 * _bump(nm, 2345, 25)
    return rise * minerals * (1 - 0.12 * _bump(nm, 1415, 25) - 0.20 * _bump(nm, 1915, 35))


def _water(nm: Spectrum) -> Spectrum:
    return (
        0.045 * np.exp(-(((nm - 400) / 190) ** 1.5))
        + 0.012 * _bump(nm, 560, 40)
        - 0.0004 * _step(nm, 900, 30)
    )


def _urban(nm: Spectrum) -> Spectrum:
    return (0.14 + 0.09 * _step(nm, 620, 160)) * (1 - 0.05 * _bump(nm, 2200, 60) - 0.08 * _bump(nm, 1940, 60))


def _snow(nm: Spectrum) -> Spectrum:
    ice = (
        0.25 * _bump(nm, 1030, 30)
        + 0.55 * _bump(nm, 1260, 45)
        + 2.4 * _bump(nm, 1510, 90)
        + 3.0 * _bump(nm, 2010, 110)
        + 1.0 * _step(nm, 1400, 40)
    )
    return 0.95 * np.exp(-ice - 0.9 * _step(nm, 2250, 50))


_SHAPES: tuple[Callable[[Spectrum], Spectrum], ...] = (
    _vegetation, _dry_vegetation, _soil, _water, _urban, _snow
)  # fmt: skip


def surfaces(wavelength_nm: npt.ArrayLike) -> Spectrum:
    """Reflectance of the endmembers, float64 [surface, band], in the order of `SURFACES`."""
    nm = np.asarray(wavelength_nm, dtype=float)
    return np.stack([shape(nm) for shape in _SHAPES])


def cloud(wavelength_nm: npt.ArrayLike) -> Spectrum:
    """Reflectance of a thick cloud [band]: white, but darker where droplets and vapour absorb."""
    nm = np.asarray(wavelength_nm, dtype=float)
    dips = 0.45 * _bump(nm, 1480, 90) + 0.65 * _bump(nm, 1980, 110) + 0.08 * _bump(nm, 1240, 50)
    return 0.72 * np.exp(-dips - 0.5 * _step(nm, 2250, 80))


def haze(wavelength_nm: npt.ArrayLike) -> Spectrum:
    """Light that thick haze adds [band]: strongest in the blue, almost none in the shortwave infrared."""
    nm = np.asarray(wavelength_nm, dtype=float)
    return 0.14 * (420 / nm) ** 2


def vapour(wavelength_nm: npt.ArrayLike) -> Spectrum:
    """Share of light that water vapour absorbs [band], 0-1, in bands at 0.72, 0.82, 0.94, 1.13, 1.38 and 1.87 um."""
    nm = np.asarray(wavelength_nm, dtype=float)
    depth = (
        0.1 * _bump(nm, 722, 8)
        + 0.1 * _bump(nm, 820, 10)
        + 0.7 * _bump(nm, 940, 18)
        + 0.8 * _bump(nm, 1130, 20)
        + 7.0 * _bump(nm, 1385, 28)
        + 7.0 * _bump(nm, 1870, 40)
    )
    return 1 - np.exp(-depth)


def noise(wavelength_nm: npt.ArrayLike) -> Spectrum:
    """Standard deviation of the sensor's noise as reflectance [band]: larger where less light returns."""
    nm = np.asarray(wavelength_nm, dtype=float)
    sunlight = (420 / nm) ** 0.5
    return 0.0012 / (sunlight * np.maximum(1 - vapour(nm), 0.05))
