"""Counted floating-point operations of a training step, and the memory that it keeps for the gradient."""

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


def kept_bytes(objective: Objective, series: torch.Tensor, places: torch.Tensor, half: bool) -> int:
    """Count the bytes that a forward pass keeps for the gradient, besides parameters: what fills a GPU's memory.

    Args:
        objective: the objective to run; its gradients are discarded.
        series: standardised [batch, date, band, y, x].
        places: int64 [batch].
        half: whether to run in bfloat16.
    """
    own = {value.untyped_storage().data_ptr() for value in objective.parameters()}
    kept: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value)
    with torch.autocast(series.device.type, torch.bfloat16, enabled=half), hooks:
        objective(series, places, torch.Generator().manual_seed(0))
    return sum(kept.values())
