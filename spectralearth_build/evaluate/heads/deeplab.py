"""DeepLabV3+ (Chen et al., arXiv 1802.02611): dilated convolutions of several rates, joined with one finer map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spectralearth_build.evaluate.heads.layers import Head, Takes, conv, resize

WIDTH, SKIP = 256, 48
REACH = 24
"""First dilation in pixels. The paper's rates 6, 12, 18 at stride 16 are 96, 192 and 288 pixels for images of 513
pixels. Patches have 128 pixels, a quarter, so here they are 24, 48 and 72. Otherwise two of three rates would reach
only padding."""


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: parallel 1x1, three dilated 3x3 and global mean, then 1x1 and dropout.

    The global-mean branch has a bias instead of batch normalisation, which needs more than one image for training.

    Args:
        dim: number of input channels.
        stride: stride of the map, which determines the dilations.
    """

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv(dim, WIDTH, 1), *(conv(dim, WIDTH, 3, r) for r in rates(stride))])
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(dim, WIDTH, 1), nn.ReLU(inplace=True))
        self.join = nn.Sequential(conv(5 * WIDTH, WIDTH, 1), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, dim, y, x] to [batch, 256, y, x]."""
        seen = [branch(x) for branch in self.branches]
        out: Tensor = self.join(torch.cat([*seen, self.mean(x).expand_as(seen[0])], 1))
        return out


class DeepLab(Head):
    """ASPP on the coarsest map, concatenated with a finer encoder map reduced to 48 channels; two conv3x3; 1x1.

    The finer map has stride 4, or a quarter of the coarsest stride if that is less. A ViT has no finer map, so the
    output of ASPP is upsampled to stride 4 and convolved alone. Number of parameters, for dim channels and a skip
    connection of s channels: 256 (29 dim + 1) + 8 x 256 and 256 x 1280 + 512 (ASPP), 48 s + 96 (skip), 9 x 256 (256 +
    48) + 512 and 9 x 256² + 512 (without skip twice the latter), 257 x classes.

    Args:
        levels: channels and stride of the encoder's maps, fine to coarse.
        classes: number of classes.
    """

    takes: Takes = "pyramid"

    def __init__(self, levels: Sequence[tuple[int, int]], classes: int) -> None:
        super().__init__()
        dim, stride = levels[-1]
        self.aspp = Aspp(dim, stride)
        self.level = finer(levels)
        self.factor = max(stride // 4, 1)
        self.narrow = None if self.level is None else conv(levels[self.level][0], SKIP, 1)
        joined = WIDTH if self.level is None else WIDTH + SKIP
        self.refine = nn.Sequential(conv(joined, WIDTH), conv(WIDTH, WIDTH))
        self.classify = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map the output of `pyramid` to [batch, class, *size]."""
        x: Tensor = self.aspp(maps[-1])
        if self.level is None or self.narrow is None:
            x = resize(x, (self.factor * x.shape[2], self.factor * x.shape[3]))
        else:
            skip = self.narrow(maps[self.level])
            x = torch.cat([resize(x, skip.shape[2:]), skip], 1)
        return resize(self.classify(self.refine(x)), size)


def rates(stride: int) -> list[int]:
    """Return three distinct dilations of about 24, 48 and 72 pixels: 2, 3, 5 at stride 16; 6, 12, 18 at stride 4."""
    return [max(k, (2 * REACH * k + stride) // (2 * stride)) for k in (1, 2, 3)]


def finer(levels: Sequence[tuple[int, int]]) -> int | None:
    """Return the level to join: the coarsest (first if equal) of at most stride 4 and a quarter of the last one."""
    most = max(1, min(4, levels[-1][1] // 4))
    fit = [i for i, (_, stride) in enumerate(levels[:-1]) if stride <= most]
    return max(fit, key=lambda i: (levels[i][1], -i), default=None)
