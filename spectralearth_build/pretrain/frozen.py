"""A frozen network: no gradients, and fixed batch-normalisation statistics."""

from __future__ import annotations

from typing import Self

from torch import nn


class Frozen(nn.Module):
    """Keep a network in evaluation mode, even if ``train()`` is called on a module that contains it.

    Args:
        network: the network to freeze.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this module only."""
        self.training = mode
        return self

    def forward(self, *args: object) -> object:
        """Call the network."""
        return self.network(*args)
