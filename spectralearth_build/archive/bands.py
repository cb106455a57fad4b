"""The 202 kept bands, chosen by wavelength and detector.

A band number does not identify a band: three sets of 224 bands are in circulation, and selecting bands by number
leaves 19 of the 202 about 11 nm off. The wavelength alone does not identify it either: VNIR and SWIR interleave around
900-1000 nm, some of their bands are within 0.2 nm of each other, and their order differs between sets.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import BandMismatchError

Floats = npt.NDArray[np.float64]
BANDS = 202
"""Number of kept bands."""
GAP = 15.0
"""Distance in nm from which two bands no longer count as neighbours."""


@dataclass(frozen=True, eq=False)
class BandTable:
    """The nominal bands, in order of ascending wavelength, which is their order everywhere."""

    wavelength_nm: Floats
    """Centre wavelengths [202], nm."""
    fwhm_nm: Floats
    """Full widths at half maximum [202], nm."""
    detector: tuple[str, ...]
    """VNIR or SWIR, for each band."""

    @cached_property
    def near(self) -> npt.NDArray[np.int32]:
        """The previous and the next band of each band in the spectrum of its detector, -1 for none, int32 [202, 2].

        Neighbouring bands are 5 to 12 nm apart; bands at a distance of `GAP` or more are no neighbours. Where the
        detectors meet, the last band of one is followed by the next band of the other.
        """
        near = np.full((len(self.detector), 2), -1, np.int32)
        close = np.diff(self.wavelength_nm) < GAP
        near[1:, 0] = np.where(close, np.arange(len(close)), -1)
        near[:-1, 1] = np.where(close, np.arange(1, len(close) + 1), -1)
        for detector in set(self.detector):
            bands = np.flatnonzero(np.asarray(self.detector) == detector)
            close = np.diff(self.wavelength_nm[bands]) < GAP
            near[bands[1:][close], 0] = bands[:-1][close]
            near[bands[:-1][close], 1] = bands[1:][close]
        return near


@dataclass(frozen=True, eq=False)
class BandSelection:
    """The bands of a product that match the nominal ones, with their deviation."""

    index: npt.NDArray[np.int32]
    """0-based index of the band in the raster [202]."""
    wavelength_nm: Floats
    """Actual centre wavelength [202], nm."""
    fwhm_nm: Floats
    """Actual full width at half maximum [202], nm."""
    deviation_nm: Floats
    """Actual minus nominal wavelength [202], nm."""


@cache
def nominal() -> BandTable:
    """The nominal 202 bands (for their source, see data_manifests/enmap_202_bands.csv)."""
    text = files("spectralearth_build.archive").joinpath("nominal_bands.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    return BandTable(
        np.array([float(row["wavelength_nm"]) for row in rows]),
        np.array([float(row["fwhm_nm"]) for row in rows]),
        tuple(row["detector"] for row in rows),
    )


def select_bands(
    wavelength_nm: Floats, fwhm_nm: Floats, detector: Sequence[str], tolerance_nm: float
) -> BandSelection:
    """Find the product's nearest band of the same detector for each nominal band.

    Args:
        wavelength_nm: centre wavelengths of the product's bands, in raster order, which need not be ascending.
        fwhm_nm: their full widths at half maximum.
        detector: VNIR or SWIR, for each band.
        tolerance_nm: largest deviation from the nominal wavelength.

    Raises:
        BandMismatchError: the lists differ in length, or a nominal band matches no band, or more than one, of known
            wavelength and width.
    """
    found, widths = np.asarray(wavelength_nm, float), np.asarray(fwhm_nm, float)
    if not len(found) == len(widths) == len(detector):
        raise BandMismatchError(
            f"There are {len(found)} wavelengths, {len(widths)} widths and {len(detector)} detectors."
        )
    table = nominal()
    known = np.isfinite(found) & np.isfinite(widths)  # bands that are not kept may have any value
    same = known & (np.asarray(detector)[np.newaxis] == np.asarray(table.detector)[:, np.newaxis])
    distance = np.where(same, np.abs(found[np.newaxis] - table.wavelength_nm[:, np.newaxis]), np.inf)
    near = distance <= tolerance_nm
    for band in np.flatnonzero(near.sum(axis=1) == 0)[:1]:
        closest = f"{distance[band].min():.2f} nm away" if same[band].any() else "missing"
        raise BandMismatchError(
            f"No {table.detector[band]} band within {tolerance_nm:g} nm of {table.wavelength_nm[band]:g} nm"
            f" (the nearest is {closest})."
        )
    index = distance.argmin(axis=1).astype(np.int32)
    twice = (distance == distance.min(axis=1, keepdims=True)).sum(axis=1) > 1
    if twice.any() or len(np.unique(index)) < len(index):
        raise BandMismatchError("Two bands of the product share one wavelength and detector.")
    return BandSelection(index, found[index], widths[index], found[index] - table.wavelength_nm)
