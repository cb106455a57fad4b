"""The three sets of 224 bands in real products."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
import numpy.typing as npt

BandSetName = Literal["A", "B", "C"]
BANDS = 224
"""Bands of an L2A product."""


@dataclass(frozen=True)
class BandSet:
    """The band table of a product, in the order of its raster."""

    wavelength_nm: npt.NDArray[np.float64]
    """Centre wavelengths [224], ascending, nm."""
    fwhm_nm: npt.NDArray[np.float64]
    """Full widths at half maximum [224], nm."""
    detector: npt.NDArray[np.str_]
    """VNIR or SWIR [224]; the two interleave at 900-1000 nm."""

    def channels(self, detector: str) -> list[int]:
        """1-based numbers of a detector's bands."""
        return [int(i) + 1 for i in np.flatnonzero(self.detector == detector)]


@cache
def band_set(name: BandSetName) -> BandSet:
    """The band table of products acquired in 2022 (A), in 2023 (B) or since 2024-06-30 (C)."""
    text = files("spectralearth_build.synthetic").joinpath("band_sets.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if row["band_set"] == name]
    return BandSet(
        np.array([float(row["wavelength_nm"]) for row in rows]),
        np.array([float(row["fwhm_nm"]) for row in rows]),
        np.array([row["detector"] for row in rows]),
    )


def nodata_bands(version: str) -> tuple[int, ...]:
    """0-based bands that a processor version leaves entirely without data.

    Observed: 22 water-vapour bands in V010110, only bands 130-135 in V010302. The version of the change is a guess.
    """
    if version < "V010200":
        return (*range(126, 141), *range(160, 167))
    return tuple(range(129, 135))
