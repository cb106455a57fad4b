"""Projection heads."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from spectralearth_build.pretrain.objectives.across import gathered_with_gradient, world


def mlp(*widths: int) -> nn.Sequential:
    """Return linear layers with ReLU in between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of vectors with the statistics of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [batch, channel]."""
        rank, ranks = world()
        if ranks == 1 or not self.training:
            return super().forward(x)
        begin = rank * len(x)
        return super().forward(gathered_with_gradient(x))[begin : begin + len(x)]


def normed_mlp(*widths: int, end: Literal["linear", "norm", "fixed"] = "norm") -> nn.Sequential:
    """Return linear layers with a batch normalisation and ReLU in between. Before a normalisation, there are no biases.

    Args:
        widths: lengths of the input, of each hidden layer and of the output.
        end: what the last layer ends with. linear: nothing; norm: a normalisation; fixed: one without parameters.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), BatchNorm(outputs), nn.ReLU(inplace=True)]
    del layers[-1]
    if end == "linear":
        layers[-2:] = [nn.Linear(widths[-2], widths[-1])]
    elif end == "fixed":
        layers[-1] = BatchNorm(widths[-1], affine=False)
    return nn.Sequential(*layers)


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
