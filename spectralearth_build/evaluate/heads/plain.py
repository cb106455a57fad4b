"""Heads without skips: linear, convolutional, FCN, UpConv."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from spectralearth_build.evaluate.heads.layers import Head, Takes, conv, resize

LEAST = 64
"""Channels below which UpConv does not halve."""


class Linear(Head):
    """A linear map of the vector: (dim + 1) x classes parameters.

    Args:
        dim: length of the vector.
        classes: number of classes.
    """

    takes: Takes = "vector"

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Linear(dim, classes)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """[[batch, dim]] to [batch, class]."""
        out: Tensor = self.classify(maps[0])
        return out


class Conv(Head):
    """A linear map of every place of the last map, then upsampled: (dim + 1) x classes parameters.

    Args:
        dim: channels of the map.
        classes: number of classes.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(dim, classes, 1)

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """[[batch, dim, y, x]] to [batch, class, *size]."""
        return resize(self.classify(maps[-1]), size)


class Fcn(Head):
    """FCN (Long et al., arXiv 1411.4038) as usual on dilated features: conv3x3 to a quarter, BN, ReLU, dropout, 1x1.

    9 dim x q + 2 q + (q + 1) x classes parameters, q = dim / 4.

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
    """SpectralEarth's head for ViTs: log2(stride) times [upsample by 2, conv3x3, BN, ReLU], then 1x1.

    Channels halve at every step, down to 64: the sum of 9 a x b + 2 b over the steps a -> b, and
    (last + 1) x classes parameters. Without stride it is `Conv`.

    Args:
        dim: channels of the map.
        stride: pixels from one place of the map to the next, a power of two.
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
