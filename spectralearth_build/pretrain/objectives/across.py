"""What objectives need of the other processes of a distributed run; without one, nothing happens."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.distributed.nn
from torch import Tensor


def world() -> tuple[int, int]:
    """Number of this process and of all."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


@torch.no_grad()
def gathered(values: Tensor) -> Tensor:
    """Values [batch, ...] of all processes, in order of their ranks, without gradients."""
    _, ranks = world()
    if ranks == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(ranks)]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def gathered_with_gradient(values: Tensor) -> Tensor:
    """`gathered`, through which gradients flow back to the process that a value came from."""
    _, ranks = world()
    if ranks == 1:
        return values
    parts = torch.distributed.nn.functional.all_gather(values)  # type: ignore[no-untyped-call]
    return torch.cat(parts)


@torch.no_grad()
def averaged(value: Tensor) -> Tensor:
    """The mean of a value over all processes."""
    _, ranks = world()
    if ranks > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= ranks
    return value
