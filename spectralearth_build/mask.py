"""The mask of a tile: one byte per pixel with its validity and quality flags.

Bits: 0 valid (inside the footprint and data in every kept band), 1 cloud, 2 cloud shadow, 3 haze, 4-5 cirrus
level (0 none to 3 thick), 6 snow, 7 water. Only valid pixels have flags; elsewhere, the byte is 0.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spectralearth_build.files import write_bytes
from spectralearth_build.storage import attach

Mask = npt.NDArray[np.uint8]

VALID, CLOUD, SHADOW, HAZE, SNOW, WATER = 1, 2, 4, 8, 64, 128
CIRRUS = 48
CIRRUS_SHIFT = 4


def encode(
    valid: npt.NDArray[np.bool_],
    cloud: npt.NDArray[np.bool_],
    shadow: npt.NDArray[np.bool_],
    haze: npt.NDArray[np.bool_],
    cirrus: npt.NDArray[np.uint8],
    snow: npt.NDArray[np.bool_],
    water: npt.NDArray[np.bool_],
) -> Mask:
    """Pack layers [line, col] into one mask; ``cirrus`` has levels 0-3."""
    flags = (
        VALID
        | np.where(cloud, CLOUD, 0)
        | np.where(shadow, SHADOW, 0)
        | np.where(haze, HAZE, 0)
        | (np.minimum(cirrus, 3) << CIRRUS_SHIFT)
        | np.where(snow, SNOW, 0)
        | np.where(water, WATER, 0)
    )
    return np.where(valid, flags, 0).astype(np.uint8)


def save(path: Path, mask: Mask) -> None:
    """Write a mask [line, col] atomically. The same mask gives the same bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(mask), version=(1, 0))
    write_bytes(path, zlib.compress(buffer.getvalue(), 6))


def load(path: Path) -> Mask:
    """Read a mask written by `save`."""
    attach.present(path)
    array = np.lib.format.read_array(io.BytesIO(zlib.decompress(path.read_bytes())), allow_pickle=False)
    return np.asarray(array, dtype=np.uint8)
