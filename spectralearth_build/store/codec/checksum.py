"""crc32c as zarr's codec of that name appends it: four bytes, little-endian."""

from __future__ import annotations

import google_crc32c
import numpy as np

from spectralearth_build.errors import DamagedError

CHECKSUM_BYTES = 4
_RESIDUE = 0x48674BC7
"""crc32c of anything that is followed by its own crc32c."""


def checksum(data: bytes | memoryview) -> bytes:
    """crc32c of ``data``, four bytes."""
    return _crc32c(data).to_bytes(CHECKSUM_BYTES, "little")


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
