"""crc32c checksums, appended as four little-endian bytes, like zarr's codec of that name."""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import DamagedError

CHECKSUM_BYTES = 4
_RESIDUE = 0x48674BC7
"""crc32c of any data followed by its own crc32c."""


def checksum(data: bytes | memoryview) -> bytes:
    """Return the crc32c of ``data`` as four bytes."""
    return _crc32c(data).to_bytes(CHECKSUM_BYTES, "little")


def checksum_of(values: npt.NDArray[Any]) -> int:
    """Return the crc32c of numbers in little-endian C order, independent of how they are stored."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return int(google_crc32c.value(plain.reshape(-1).view(np.uint8)))


def verified(data: bytes | memoryview) -> memoryview:
    """Check the checksum at the end of ``data``, and return a view without it.

    Raises:
        DamagedError: The checksum does not match.
    """
    if len(data) <= CHECKSUM_BYTES or _crc32c(data) != _RESIDUE:
        raise DamagedError(f"A checksum (crc32c) of {len(data)} bytes does not match.")
    return memoryview(data)[:-CHECKSUM_BYTES]


def _crc32c(data: bytes | memoryview) -> int:
    # The library does not accept a memoryview, but it does a numpy array of the same memory.
    return int(google_crc32c.value(np.frombuffer(data, np.uint8)))
