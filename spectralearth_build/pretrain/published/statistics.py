"""Statistics and wavelengths of the input of foreign weights, from files. Does not need torch.

SpectralEarth's repository has the statistics as ``data/statistics/mu.npy`` and ``sigma.npy``, float32 [202], in stored
values (reflectance times 10,000).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spectralearth_build.archive.bands import BANDS, nominal
from spectralearth_build.errors import UsageError
from spectralearth_build.shipped import shipped

Floats = npt.NDArray[np.float64]
MEAN, STD = "mu.npy", "sigma.npy"
"""Names of the files of statistics beside a file of weights."""
COLUMN = "wavelength_nm"
_REFLECTANCE = 2.0
"""Means below this are reflectances: 2 stored units are a reflectance of 0.0002."""


def read_statistics(mean: Path, std: Path) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each band, [band] each.

    Raises:
        UsageError: The files do not hold numbers that can be such statistics.
        OSError: A file cannot be read.
    """
    means, stds = _numbers(mean), _numbers(std)
    if len(means) != len(stds):
        raise UsageError(
            f"There are {len(stds)} standard deviations and {len(means)} means.", std, _pair(std)
        )
    if not (stds > 0).all():
        raise UsageError(
            f"Band {int(np.argmin(stds))} has the standard deviation {stds.min():g}.", std, _pair(std)
        )
    if np.abs(means).max() < _REFLECTANCE:
        what = f"The largest mean is {np.abs(means).max():g}; stored values were expected (reflectance times 10,000)."
        raise UsageError(what, mean, "Multiply both files by 10,000.")
    return means, stds


def read_wavelengths(path: Path | None, bands: int) -> tuple[float, ...]:
    """Return the wavelength of each band in nm.

    Args:
        path: .npy of numbers, or CSV with a column wavelength_nm; None: the 202 bands of this package.
        bands: number of bands of the statistics.

    Raises:
        UsageError: The file does not hold one wavelength for each band.
        OSError: The file cannot be read.
    """
    if path is None:
        if bands != BANDS:
            raise UsageError(
                f"The statistics have {bands} bands; wavelengths are known for {BANDS} only.",
                remedy="Give those of your bands with --wavelengths FILE.",
            )
        return tuple(nominal().wavelength_nm.tolist())
    found = _numbers(path) if path.suffix == ".npy" else _column(path)
    if len(found) != bands:
        raise UsageError(
            f"There are {len(found)} wavelengths for {bands} bands.",
            path,
            "Give one for each band, in their order.",
        )
    return tuple(found.tolist())


def beside(weights: Path) -> tuple[Path, Path] | None:
    """Return the files of statistics that belong to a file of weights; None if it has none.

    They are NAME.mu.npy and NAME.sigma.npy for NAME.pth, or else mu.npy and sigma.npy in the same folder.
    """
    for prefix in (f"{weights.stem}.", ""):
        mean, std = (weights.with_name(prefix + name) for name in (MEAN, STD))
        if mean.is_file() and std.is_file():
            return mean, std
    return None


def _pair(path: Path) -> str:
    return f"Give {MEAN} and {STD} of one set, the second as {path.name}."


def _numbers(path: Path) -> Floats:
    """Return the numbers of a .npy file, [band]."""
    try:
        found = np.load(path, allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # numpy raises many kinds for damaged files
        raise UsageError(f"This is not a file of numpy: {error}.", path, "Give a .npy file.") from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "fiu":
        what = f"{getattr(found, 'dtype', 'Several arrays')} {list(getattr(found, 'shape', []))}"
        raise UsageError(f"One number for each band was expected, not {what}.", path, "Give an array [band].")
    return _finite(found.astype(np.float64), path)


def _column(path: Path) -> Floats:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        return _finite(np.array([float(row[COLUMN]) for row in csv.DictReader(lines)]), path)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"A CSV file with a column {COLUMN} was expected: {type(error).__name__}: {error}.",
            path,
            f"See {shipped('data_manifests/enmap_202_bands.csv')}, which has one.",
        ) from error


def _finite(values: Floats, path: Path) -> Floats:
    if not len(values) or not np.isfinite(values).all():
        raise UsageError("There are no numbers, or some are not finite.", path, "Correct the file.")
    return values
