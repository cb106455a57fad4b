"""Momentum networks, whose parameters are the exponential moving average of another network's."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def follower(network: Network) -> Network:
    """Return a copy of a network that gets no gradients."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """Set ``target = momentum * target + (1 - momentum) * source`` for all parameters, in few kernel launches."""
    ours: list[Tensor] = list(target.parameters())
    theirs: list[Tensor] = list(source.parameters())
    torch._foreach_lerp_(ours, theirs, 1 - momentum)


def reset(network: nn.Module) -> None:
    """Reinitialise every layer that has a method for it."""
    for module in network.modules():
        again = getattr(module, "reset_parameters", None)
        if callable(again):
            again()
