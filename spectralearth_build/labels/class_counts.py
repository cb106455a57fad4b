"""What a map of class indices says about its patch as a whole.

Maps are uint8 [..., line, col] with `classes.IGNORE` where there is no class; any axes before the last two are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.labels.classes import IGNORE, Indices

Floats = npt.NDArray[np.float64]


def counts(indices: Indices, classes: int) -> npt.NDArray[np.int64]:
    """Pixels of each class, int64 [..., class].

    Raises:
        ValueError: the map holds an index that is no class.
    """
    maps = indices.reshape(-1, indices.shape[-2] * indices.shape[-1])
    if ((maps >= classes) & (maps != IGNORE)).any():
        raise ValueError(f"The map holds indices beyond its {classes} classes.")
    # One histogram for all maps: each has its own 256 bins.
    bins = maps + 256 * np.arange(len(maps))[:, np.newaxis]
    found = np.bincount(bins.ravel(), minlength=256 * len(maps)).reshape(len(maps), 256)
    return found[:, :classes].reshape(*indices.shape[:-2], classes)


def labelled_fraction(indices: Indices) -> Floats:
    """Share of the pixels that have a class, float64 [...], 0-1; of one map a number."""
    return np.asarray((indices != IGNORE).mean(axis=(-2, -1)))[()]


def multi_hot(indices: Indices, classes: int, least: float) -> npt.NDArray[np.bool_]:
    """Which classes take at least a share of the labelled area, bool [..., class].

    Args:
        indices: the map.
        classes: number of classes.
        least: smallest share of the labelled pixels, 0-1. A class without a pixel is never present.
    """
    found = counts(indices, classes)
    # The quotient, not a product with the threshold: 7 of 100 pixels are 0.07 exactly as Python reads it.
    part = found / np.maximum(found.sum(axis=-1, keepdims=True), 1)
    return np.asarray((found > 0) & (part >= least))


def majority(indices: Indices, classes: int) -> npt.NDArray[np.int64]:
    """The class with most pixels, int64 [...]: the smaller index of two that tie; -1 where nothing is labelled."""
    found = counts(indices, classes)
    return np.where(found.sum(axis=-1) > 0, found.argmax(axis=-1), -1)[()]
