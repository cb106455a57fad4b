"""A network that nothing changes: no gradients, and batch normalisation that keeps its statistics."""

from __future__ import annotations

from typing import Self

from torch import nn


class Frozen(nn.Module):
    """Holds a network in evaluation mode for good: ``train()`` of a module around it does not reach it.

    Args:
        network: what is frozen.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this module alone."""
        self.training = mode
        return self

    def forward(self, *args: object) -> object:
        """Call the network."""
        return self.network(*args)
