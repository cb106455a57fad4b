"""Memory reuse for training on a CPU: the process keeps freed memory instead of returning it to the system."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""


def keep_memory(device: torch.device) -> bool:
    """Make malloc reuse freed memory without asking the system for it. Returns whether this is in effect.

    glibc maps each large block when it is allocated and unmaps it when it is freed, and the system zeroes every page at
    the first access. For the tensors of a batch, hundreds of megabytes each, this costs more than the arithmetic on
    them. The change applies to the whole process, and is made only for training on a CPU. Without glibc, nothing
    changes.
    """
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
