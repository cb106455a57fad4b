"""Zigzag mapping of signed to unsigned integers: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.

Small negative numbers have their high bits set, small positive ones do not, so their bit planes compress badly.
"""

from __future__ import annotations

import numpy as np

from spectralearth_build.kernels import inlined


@inlined
def zigzag(value: np.int16) -> np.uint16:
    """Map int16 to uint16: 2 v, or -2 v - 1 if v < 0."""
    return np.uint16((value << np.int16(1)) ^ (value >> np.int16(15)))


@inlined
def unzigzag(value: np.uint16) -> np.int16:
    """Undo `zigzag`."""
    return np.int16((value >> np.uint16(1)) ^ -(value & np.uint16(1)))
