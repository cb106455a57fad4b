"""The base class of objectives: what the trainer calls."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.recipes import Augmentation
from spectralearth_build.pretrain.sending import sent


class Objective(nn.Module):
    """A loss on image series, and the networks that it trains.

    Args:
        encoder: the network to pretrain.
    """

    encoder: Encoder
    seen: Tensor
    """Detached features [batch, dim] of the last call, for the monitors."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """Return the loss of a batch.

        Args:
            series: standardised [batch, date, band, y, x], with one or two dates per location.
            places: int64 [batch], a number that identifies each location.
            draw: random generator, on the CPU.
        """

    def begin_step(self, done: float) -> None:
        """Hook called before the batches of a step. ``done`` is the share of all steps finished before this one."""

    def before_step(self, done: float) -> None:
        """Hook called when gradients are ready. ``done`` is the share of all steps finished before this one."""

    def after_step(self, done: float) -> None:
        """Hook called after each optimiser step. ``done`` is the share of all steps finished; 1 after the last."""

    @property
    def exported(self) -> Encoder:
        """The network that becomes the encoder."""
        return self.encoder

    def monitors(self) -> dict[str, Tensor]:
        """Return figures of the last call. They stay on the device, so nothing waits for them until they are logged."""
        return {}

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - of nn.Module
        """Call `forward`."""
        out: Tensor = super().__call__(*args, **kwargs)
        return out


class PairObjective(Objective):
    """An objective on two views of each location, of which nothing else is known: two dates, or one date twice.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        views: augmentation of both views.
    """

    def __init__(self, encoder: Encoder, views: Augmentation) -> None:
        super().__init__(encoder)
        self.views = views

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            first, second = (augment(image, self.views, draw) for image in two_views(series))
        return self.loss(first, second)

    @abstractmethod
    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x]."""


def two_views(series: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last date, each [batch, band, y, x]. With one date, both are the same images."""
    return series[:, 0], series[:, -1]


def one_of(series: Tensor, draw: torch.Generator) -> Tensor:
    """Select one random date of each sample: [batch, date, ...] to [batch, ...]."""
    if series.shape[1] == 1:
        return series[:, 0]  # no copy
    date = sent(torch.randint(series.shape[1], (len(series),), generator=draw), series.device)
    return series[torch.arange(len(series), device=series.device), date]
