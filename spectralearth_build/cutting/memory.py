"""Memory for the pixels of a tile, which the next task of the process uses again.

The system clears memory before it hands it out. For a whole tile that takes a third as long as decoding it.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from spectralearth_build.store.codec import Patch

_lock = threading.Lock()
_idle: list[Patch] = []
"""At most one array, int16 [values]."""


def take(shape: tuple[int, int, int]) -> Patch:
    """Return an array int16 [band, line, col] with any values, until it is given back or deleted."""
    size = math.prod(shape)
    with _lock:
        held = _idle.pop() if _idle else None
    if held is None or held.size < size:
        held = None  # so that both are never there together
        held = np.empty(size, np.int16)
    return held[:size].reshape(shape)


def give_back(array: Patch) -> None:
    """Keep the memory of an array that `take` returned, unless that of a larger one is kept. Do not use it again."""
    held = array.base
    with _lock:
        if held is not None and (not _idle or _idle[0].size < held.size):
            _idle[:] = [held]


def forget() -> None:
    """Free the memory."""
    with _lock:
        _idle.clear()
