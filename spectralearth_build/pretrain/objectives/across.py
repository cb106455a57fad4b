"""Communication of objectives between the processes of a distributed run. Without one, these do nothing."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.distributed.nn
from torch import Tensor


def world() -> tuple[int, int]:
    """Return the rank of this process and the number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


@torch.no_grad()
def gathered(values: Tensor) -> Tensor:
    """Gather values [batch, ...] from all processes, in order of rank, without gradients."""
    _, ranks = world()
    if ranks == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(ranks)]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def gathered_with_gradient(values: Tensor) -> Tensor:
    """Gather as `gathered`, with gradients that flow back to the process each value came from."""
    _, ranks = world()
    if ranks == 1:
        return values
    parts = torch.distributed.nn.functional.all_gather(values)  # type: ignore[no-untyped-call]
    return torch.cat(parts)


@torch.no_grad()
def averaged(value: Tensor) -> Tensor:
    """Return the mean of a value over all processes."""
    _, ranks = world()
    if ranks > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= ranks
    return value
