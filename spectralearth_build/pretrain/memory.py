"""Memory of training on a CPU: kept by the process, not given back to the system after every tensor."""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3)."""


def keep_memory(device: torch.device) -> bool:
    """Let freed memory be used again without asking the system for it; returns whether that was done.

    glibc maps each large block anew and unmaps it when freed, and the system fills every page with zeros at the first
    touch. For the tensors of a batch, hundreds of megabytes each, that costs more than the arithmetic on them. It is
    for the whole process and only for work on a CPU; where there is no glibc, nothing changes.
    """
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
