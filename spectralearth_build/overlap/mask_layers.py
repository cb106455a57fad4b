"""Turn the layers of a mask into runs, all in one pass over its bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel_of
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


def _changes(mask: Bytes, sets: Bytes) -> npt.NDArray[np.int32]:
    """Changes of the set of layers along lines: [n, 4] of line, column, the set before, the set from here on."""
    most = np.count_nonzero(mask[:, 1:] != mask[:, :-1]) + 2 * len(mask)
    found = np.empty((most, 4), np.int32)
    return found[: _find_changes(mask, sets, found)]


@kernel_of("int64(uint8[:, ::1], uint8[::1], int32[:, ::1])", writes=1)
def _find_changes(mask: Bytes, sets: Bytes, found: npt.NDArray[np.int32]) -> int:
    m = 0
    for i in range(mask.shape[0]):
        before = 0
        for j in range(mask.shape[1] + 1):
            if 0 < j < mask.shape[1] and mask[i, j] == mask[i, j - 1]:
                continue
            here = sets[mask[i, j]] if j < mask.shape[1] else 0
            if here != before:
                found[m, 0], found[m, 1], found[m, 2], found[m, 3] = i, j, before, here
                m += 1
            before = here
    return m


def _runs(changes: npt.NDArray[np.int32], bit: int) -> Runs:
    """Runs of one layer."""
    ends = changes[((changes[:, 2] ^ changes[:, 3]) & bit) != 0]
    return np.column_stack([ends[::2, :2], ends[1::2, 1]])
