"""Heads without skip connections: linear, convolutional, FCN, UpConv."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from spectralearth_build.evaluate.heads.layers import Head, Takes, conv, resize

LEAST = 64
"""Minimum number of channels; UpConv halves no further."""


class Linear(Head):
    """A linear layer on the feature vector: (dim + 1) x classes parameters.

    Args:
        dim: length of the vector.
        classes: number of classes.
    """

    takes: Takes = "vector"

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Linear(dim, classes)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map [[batch, dim]] to [batch, class]."""
        out: Tensor = self.classify(maps[0])
        return out


class Conv(Head):
    """A 1x1 convolution on the last map, then upsampling: (dim + 1) x classes parameters.

    Args:
        dim: channels of the map.
        classes: number of classes.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(dim, classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map [[batch, dim, y, x]] to [batch, class, *size]."""
        return resize(self.classify(maps[-1]), size)


class Fcn(Head):
    """FCN head (Long et al., arXiv 1411.4038): conv3x3 to a quarter of the channels, BN, ReLU, dropout, 1x1.

    It has 9 dim x q + 2 q + (q + 1) x classes parameters, with q = dim / 4.

    Args:
        dim: channels of the map.
        classes: number of classes.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(dim, dim // 4), nn.Dropout(0.1), nn.Conv2d(dim // 4, classes, 1))

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """[[batch, dim, y, x]] to [batch, class, *size]."""
        return resize(self.layers(maps[-1]), size)


class UpConv(Head):
    """SpectralEarth's head for ViTs: log2(stride) steps of [upsample by 2, conv3x3, BN, ReLU], then 1x1.

    Channels halve at every step, down to 64. The number of parameters is the sum of 9 a x b + 2 b over the steps a ->
    b, plus (last + 1) x classes. With stride 1 it equals `Conv`.

    Args:
        dim: channels of the map.
        stride: stride of the map in pixels, a power of two.
        classes: number of classes.
    """

    def __init__(self, dim: int, stride: int, classes: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for _ in range(stride.bit_length() - 1):
            narrow = min(dim, max(dim // 2, LEAST))
            steps += [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                conv(dim, narrow),
            ]
            dim = narrow
        self.layers = nn.Sequential(*steps, nn.Conv2d(dim, classes, 1))

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """[[batch, dim, y, x]] to [batch, class, *size]."""
        return resize(self.layers(maps[-1]), size)
