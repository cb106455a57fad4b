"""Projection heads."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize


def mlp(*widths: int) -> nn.Sequential:
    """Return linear layers with ReLU in between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def normed_mlp(*widths: int) -> nn.Sequential:
    """Return linear layers without bias, each followed by a batch normalisation, with ReLU in between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class DinoHead(nn.Module):
    """The projection head of DINO: a three-layer MLP to a normalised bottleneck, then cosines to prototypes.

    Args:
        dim: length of a feature vector.
        hidden: width of the two hidden layers.
        bottleneck: length of the normalised vector.
        prototypes: number of outputs. Their weights keep norm 1 (weight normalisation whose magnitude is not trained).
    """

    def __init__(self, dim: int, hidden: int = 2048, bottleneck: int = 256, prototypes: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((dim, hidden), (hidden, hidden), (hidden, bottleneck)):
            layers += [nn.Linear(inputs, outputs), nn.GELU()]
            nn.init.trunc_normal_(layers[-2].weight, std=0.02)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers[:-1])
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        nn.init.trunc_normal_(self.prototypes, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        """Map features [batch, dim] to logits [batch, prototypes]."""
        return linear(normalize(self.layers(features), dim=-1), normalize(self.prototypes, dim=-1))
