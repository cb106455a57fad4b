"""Summaries of a map of class indices for its whole patch.

Maps are uint8 [..., line, col] with `classes.IGNORE` where there is no class; any axes before the last two are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.labels.classes import IGNORE, Indices

Floats = npt.NDArray[np.float64]


def counts(indices: Indices, classes: int) -> npt.NDArray[np.int64]:
    """Number of pixels of each class, int64 [..., class].

    Raises:
        ValueError: the map has an index without a class.
    """
    maps = indices.reshape(-1, indices.shape[-2] * indices.shape[-1])
    if ((maps >= classes) & (maps != IGNORE)).any():
        raise ValueError(f"The map has indices beyond its {classes} classes.")
    # One histogram for all maps: each has its own 256 bins.
    bins = maps + 256 * np.arange(len(maps))[:, np.newaxis]
    found = np.bincount(bins.ravel(), minlength=256 * len(maps)).reshape(len(maps), 256)
    return found[:, :classes].reshape(*indices.shape[:-2], classes)


def labelled_fraction(indices: Indices) -> Floats:
    """Fraction of the pixels that have a class, float64 [...], 0-1; a number for a single map."""
    return np.asarray((indices != IGNORE).mean(axis=(-2, -1)))[()]


def multi_hot(indices: Indices, classes: int, least: float) -> npt.NDArray[np.bool_]:
    """Which classes have at least a given share of the labelled area, bool [..., class].

    Args:
        indices: the map.
        classes: number of classes.
        least: smallest share of the labelled pixels, 0-1. A class without a pixel is never present.
    """
    found = counts(indices, classes)
    # Compare the quotient, not a product with the threshold: 7 of 100 pixels are exactly the float 0.07.
    part = found / np.maximum(found.sum(axis=-1, keepdims=True), 1)
    return np.asarray((found > 0) & (part >= least))


def majority(indices: Indices, classes: int) -> npt.NDArray[np.int64]:
    """The class with most pixels, int64 [...]; the smallest index of a tie, and -1 if no pixel has a class."""
    found = counts(indices, classes)
    return np.where(found.sum(axis=-1) > 0, found.argmax(axis=-1), -1)[()]
