"""UNet (Ronneberger et al., arXiv 1505.04597): upsample, concatenate the encoder map of the same size, convolve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spectralearth_build.evaluate.heads.layers import Head, Takes, conv, resize

WIDTHS = (256, 128, 64, 32, 16)
"""Channels of the steps, coarse to fine. Further steps keep the last number."""


class UNet(Head):
    """A UNet decoder with one step per halving of the stride and per level, from the coarsest map to the pixels.

    The map of a level is joined at its stride. A ViT has one level, so it is upsampled without skip connections. Levels
    of equal stride (dense ResNets) are joined without upsampling. A step from a channels and a skip of s to b has 9 (a
    + s) b + 9 b² + 4 b parameters, the classifier (b + 1) x classes.

    Args:
        levels: channels and stride of the encoder's maps, fine to coarse.
        classes: number of classes.
    """

    takes: Takes = "pyramid"

    def __init__(self, levels: Sequence[tuple[int, int]], classes: int) -> None:
        super().__init__()
        self.plan = plan(levels)
        self.steps = nn.ModuleList()
        channels = levels[-1][0]
        for number, level in enumerate(self.plan):
            width = WIDTHS[min(number, len(WIDTHS) - 1)]
            skip = 0 if level is None else levels[level][0]
            self.steps.append(nn.Sequential(conv(channels + skip, width), conv(width, width)))
            channels = width
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map the output of `pyramid` to [batch, class, *size]."""
        x = maps[-1]
        for level, step in zip(self.plan, self.steps, strict=True):
            if level is None:
                x = step(resize(x, (2 * x.shape[2], 2 * x.shape[3])))
            else:
                x = step(torch.cat([resize(x, maps[level].shape[2:]), maps[level]], 1))
        return resize(self.classify(x), size)


def plan(levels: Sequence[tuple[int, int]]) -> list[int | None]:
    """Return the steps, coarse to fine: the index of the level to join; None: only upsample by 2."""
    out: list[int | None] = []
    stride = levels[-1][1]
    for level in reversed(range(len(levels) - 1)):
        halvings = (stride // levels[level][1]).bit_length() - 1
        out += [*(None for _ in range(halvings - 1)), level]
        stride = levels[level][1]
    return out + [None] * (stride.bit_length() - 1)
