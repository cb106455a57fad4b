"""Turn the layers of a mask into runs, all in one pass over its bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.runs import Runs

Bytes = npt.NDArray[np.uint8]


def runs_of_layers(mask: Bytes, layers: Sequence[npt.NDArray[np.bool_]], line0: int, col0: int) -> list[Runs]:
    """Runs of the pixels of each layer.

    Args:
        mask: uint8 [line, col].
        layers: for each layer, which of the 256 byte values belong to it; at most 8 layers.
        line0: line of the mask's first pixel.
        col0: column of the mask's first pixel.
    """
    sets = np.packbits(np.stack(layers), axis=0, bitorder="little")[0]
    changes = _changes(np.ascontiguousarray(mask), sets)
    origin = np.array([line0, col0, col0], np.int32)
    return [_runs(changes, 1 << layer) + origin for layer in range(len(layers))]


def runs_of_mask(mask: npt.NDArray[np.bool_], line0: int, col0: int) -> Runs:
    """Runs of the true pixels of a mask [line, col] whose first pixel is (line0, col0)."""
    return runs_of_layers(mask.view(np.uint8), [np.arange(256) > 0], line0, col0)[0]


@kernel
def _changes(mask: Bytes, sets: Bytes) -> npt.NDArray[np.int32]:
    """Changes of the set of layers along lines: [n, 4] of line, column, the set before, the set from here on."""
    height, width = mask.shape
    found = np.empty((max(64, 4 * height), 4), np.int32)
    m = 0
    for i in range(height):
        if m + width + 1 > found.shape[0]:
            larger = np.empty((2 * found.shape[0] + width, 4), np.int32)
            larger[:m] = found[:m]
            found = larger
        line = mask[i]
        before = 0
        for j in range(width):
            if j > 0 and line[j] == line[j - 1]:
                continue
            here = sets[line[j]]
            if here != before:
                found[m, 0], found[m, 1], found[m, 2], found[m, 3] = i, j, before, here
                m += 1
            before = here
        if before != 0:
            found[m, 0], found[m, 1], found[m, 2], found[m, 3] = i, width, before, 0
            m += 1
    return found[:m]


@kernel
def _runs(changes: npt.NDArray[np.int32], bit: int) -> Runs:
    """Runs of one layer."""
    runs = np.empty((changes.shape[0], 3), np.int32)
    m = 0
    for k in range(changes.shape[0]):
        if changes[k, 2] & bit == changes[k, 3] & bit:
            continue
        if changes[k, 3] & bit:
            runs[m, 0], runs[m, 1] = changes[k, 0], changes[k, 1]
        else:
            runs[m, 2] = changes[k, 1]
            m += 1
    return runs[:m].copy()
