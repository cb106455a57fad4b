"""What the trainer asks of an objective."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from spectralearth_build.pretrain.encoders import Encoder


class Objective(nn.Module):
    """A loss on series of images, and the networks that it trains.

    Args:
        encoder: the network that is wanted.
    """

    encoder: Encoder
    seen: Tensor
    """Features [batch, dim] of the last call, detached, for the monitors."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """The loss of a batch.

        Args:
            series: standardised [batch, date, band, y, x], one or two dates of each location.
            places: int64 [batch], number of each location.
            draw: source of randomness, on the CPU.
        """

    def before_step(self, done: float) -> None:
        """Called when gradients are ready; ``done`` is the share of all steps before this one."""

    def after_step(self, done: float) -> None:
        """Called after each step of the optimiser; ``done`` is the share of all steps, 1 after the last."""

    def monitors(self) -> dict[str, Tensor]:
        """Figures of the last call, on the device: nothing waits for them until they are printed."""
        return {}

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - of nn.Module
        """Call `forward`."""
        out: Tensor = super().__call__(*args, **kwargs)
        return out


def two_views(series: Tensor) -> tuple[Tensor, Tensor]:
    """First and last date [batch, band, y, x]: the same images where there is one date."""
    return series[:, 0], series[:, -1]
