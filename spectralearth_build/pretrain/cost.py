"""Counted floating-point operations of a training step."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from spectralearth_build.pretrain.objectives.base import Objective


def step_flops(objective: Objective, series: torch.Tensor, places: torch.Tensor) -> int:
    """Count the floating-point operations of one forward and backward pass. A multiply-add counts as two.

    Args:
        objective: the objective to run; its gradients are discarded.
        series: standardised [batch, date, band, y, x].
        places: int64 [batch].
    """
    draw = torch.Generator().manual_seed(0)
    with FlopCounterMode(display=False) as counter:
        objective(series, places, draw).backward()  # type: ignore[no-untyped-call]
    objective.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())
