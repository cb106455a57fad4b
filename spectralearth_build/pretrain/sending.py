"""Copies from the host to a device that do not make the host wait."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device, without waiting for work that is queued there."""
    if device.type == "cuda":
        values = values.pin_memory()  # from other memory, the copy would wait
    return values.to(device, non_blocking=True)
