"""Selection of bands by wavelength, never by index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import UsageError

NEAR_NM = 10.0
"""Maximum distance between a single wavelength and the nearest band. Neighbouring bands are at most 12 nm apart."""
_REMEDY = "Give wavelengths and ranges in nm, such as 490,560,665 or 450-900,2000-2400."


def choose(text: str, nominal_nm: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the bands that a list of wavelengths and ranges selects.

    Args:
        text: comma-separated parts, each a wavelength in nm (the nearest band) or two with a hyphen (all bands in this
            range, inclusive). Empty: all bands.
        nominal_nm: nominal centre wavelengths [band], ascending.

    Returns:
        0-based band indices, ascending, without duplicates.

    Raises:
        UsageError: The text is invalid, or there is no band at a given wavelength.
    """
    if not text.strip():
        return np.arange(len(nominal_nm))
    found = [_part(each.strip(), nominal_nm) for each in text.split(",")]
    return np.unique(np.concatenate(found))


def _part(text: str, nominal_nm: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    try:
        edges = [float(edge) for edge in text.split("-")]
    except ValueError:
        edges = []
    if len(edges) not in (1, 2) or not np.isfinite(edges).all():
        raise UsageError(f"--bands: '{text}' is neither a wavelength nor a range.", remedy=_REMEDY)
    if len(edges) == 2:
        inside = np.flatnonzero((nominal_nm >= edges[0]) & (nominal_nm <= edges[1]))
    else:
        nearest = np.argmin(np.abs(nominal_nm - edges[0]))
        inside = np.atleast_1d(nearest)[np.abs(nominal_nm[nearest] - edges) <= NEAR_NM]
    if not inside.size:
        raise UsageError(f"--bands: there is no band at {text} nm.", remedy=_REMEDY)
    return inside
