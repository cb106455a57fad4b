"""Memory that is free, but that libraries still keep."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa


def release() -> None:
    """Give free memory back to the system. Arrow and glibc keep some hundred megabytes after large tables."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:  # other C libraries have none
        trim(0)
