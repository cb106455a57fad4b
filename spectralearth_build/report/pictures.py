"""Images and spectra of patches."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.image import imsave

from spectralearth_build.report.figures import Spectrum

RED_GREEN_BLUE = (650.0, 550.0, 460.0)
"""Wavelengths of the natural-colour bands in nm."""
GAMMA = 1 / 1.3


def natural_colour(patch: xr.DataArray) -> npt.NDArray[np.float64]:
    """Return reflectance [y, x, 3] of the bands nearest to red, green and blue; nodata is NaN.

    Args:
        patch: int16 [band, y, x] with ``wavelength_nm`` [band] and attributes scale and nodata.
    """
    wavelength = patch["wavelength_nm"].to_numpy()
    bands = [int(np.abs(wavelength - wanted).argmin()) for wanted in RED_GREEN_BLUE]
    counts = patch.to_numpy()[bands]
    reflectance = np.where(counts == patch.attrs["nodata"], np.nan, counts * patch.attrs["scale"])
    return np.moveaxis(reflectance, 0, -1)


def limits(colours: npt.NDArray[np.float64], bright: float = 99) -> tuple[float, float]:
    """Return black and white point of an image: its 1st and ``bright``-th percentile, the same for the three bands.

    One stretch for all bands preserves hues.
    """
    black, white = np.nanpercentile(colours, (1, bright))
    return float(black), float(max(white, black + 1e-3))


def common_limits(pictures: Sequence[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """Return common limits for images of one location: the medians, so that a date with snow may saturate.

    The brightest 5 % of each image is ignored, since it may be cloud.
    """
    black, white = np.median([limits(one, 95) for one in pictures], axis=0)
    return float(black), float(white)


def png(colours: npt.NDArray[np.float64], black: float, white: float) -> str:
    """Return an image [y, x, 3], stretched between two values, as a ``data:`` URL."""
    stretched = np.clip((np.nan_to_num(colours, nan=0.0) - black) / (white - black), 0, 1) ** GAMMA
    buffer = io.BytesIO()
    imsave(buffer, (255 * stretched).round().astype(np.uint8), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def spectrum(patch: xr.DataArray, label: str) -> Spectrum:
    """Return mean and percentiles of the pixels of a patch, in reflectance."""
    pixels = patch.to_numpy().reshape(patch.sizes["band"], -1)
    values = np.where(pixels == patch.attrs["nodata"], np.nan, pixels * np.float32(patch.attrs["scale"]))
    # a quarter of the pixels is representative
    low, high = np.nanpercentile(values[:, ::4], (10, 90), axis=1)
    return Spectrum(label, patch["wavelength_nm"].to_numpy(), np.nanmean(values, axis=1), low, high)
