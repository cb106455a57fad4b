"""crc32c as zarr's codec of that name appends it: four bytes, little-endian."""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import DamagedError

CHECKSUM_BYTES = 4
_RESIDUE = 0x48674BC7
"""crc32c of anything that is followed by its own crc32c."""


def checksum(data: bytes | memoryview) -> bytes:
    """crc32c of ``data``, four bytes."""
    return _crc32c(data).to_bytes(CHECKSUM_BYTES, "little")


def checksum_of(values: npt.NDArray[Any]) -> int:
    """crc32c of numbers as they lie in memory, little-endian and in C order: the same whatever they are stored as."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return int(google_crc32c.value(plain.reshape(-1).view(np.uint8)))


def verified(data: bytes | memoryview) -> memoryview:
    """``data`` without the checksum at its end; nothing is copied.

    Raises:
        DamagedError: the checksum does not match.
    """
    if len(data) <= CHECKSUM_BYTES or _crc32c(data) != _RESIDUE:
        raise DamagedError(f"A checksum (crc32c) of {len(data)} bytes does not match.")
    return memoryview(data)[:-CHECKSUM_BYTES]


def _crc32c(data: bytes | memoryview) -> int:
    # The library takes no memoryview; a numpy array over the same memory it does.
    return int(google_crc32c.value(np.frombuffer(data, np.uint8)))
