"""Spectral ResNet-18 and -50: the adapter, then a ResNet without stem and pooling (SpectralEarth, arXiv 2408.08447)."""

from __future__ import annotations

from torch import Tensor, nn

from spectralearth_build.pretrain.encoders.adapter import CHANNELS, SpectralAdapter
from spectralearth_build.pretrain.encoders.encoder import Encoder

WIDTHS = (64, 128, 256, 512)
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
DILATIONS = (1, 2, 4, 8)
"""Dilation of the four stages if dilation replaces stride."""
STEMS = ("", "full")
"""Stem options. full: no stride in the first stage."""


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)


class ResidualBlock(nn.Module):
    """A residual block: ReLU(body(x) + shortcut(x)).

    Args:
        body: the convolutions, ending in a batch normalisation.
        shortcut: a projection if the shape changes, else the identity.
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.relu = body, shortcut, nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform [batch, channel, y, x] to the channels and stride of the block."""
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def basic(inputs: int, width: int, stride: int, dilation: int) -> ResidualBlock:
    """Return a block of two 3x3 convolutions (ResNet-18)."""
    body = nn.Sequential(
        _conv(inputs, width, 3, stride, dilation),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        _conv(width, width, 3, 1, dilation),
        nn.BatchNorm2d(width),
    )
    return ResidualBlock(body, _shortcut(inputs, width, stride))


def bottleneck(inputs: int, width: int, stride: int, dilation: int, outputs: int = 0) -> ResidualBlock:
    """Return a block of 1x1, 3x3, 1x1 convolutions (ResNet-50), with ``outputs`` channels (default: 4 x width)."""
    outputs = outputs or 4 * width
    body = nn.Sequential(
        _conv(inputs, width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        _conv(width, width, 3, stride, dilation),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        _conv(width, outputs, 1),
        nn.BatchNorm2d(outputs),
    )
    return ResidualBlock(body, _shortcut(inputs, outputs, stride))


class SpectralResNet(Encoder):
    """A ResNet on the channels of the adapter.

    Args:
        bands: number of bands, 75 or more.
        depth: 18 or 50. Depth 50 has 24.2 million parameters with the adapter; its first block is 128 -> 256 -> 256.
        dense: whether to replace the four strides by dilation 1, 2, 4, 8, for segmentation. The weights are the same.
        stem: "full": the first stage, which replaces stem and pooling of other ResNets, has no stride either, so the
            map is twice as fine. The weights are the same.

    Raises:
        ValueError: There are too few bands, or the stem is unknown.
    """

    map_head = "fcn"

    def __init__(self, bands: int, depth: int = 50, dense: bool = False, stem: str = "") -> None:
        super().__init__()
        if stem not in STEMS:
            raise ValueError(f"Unknown stem '{stem}'. The only one is full.")
        self.adapter = SpectralAdapter(bands)
        block, expansion = (bottleneck, 4) if depth == 50 else (basic, 1)
        stages: list[nn.Module] = []
        inputs, pixels = CHANNELS, 1
        levels = [(inputs, pixels)]
        for width, blocks, dilation in zip(WIDTHS, DEPTHS[depth], DILATIONS, strict=True):
            stride, dilation = (1, dilation) if dense else (2, 1)
            if stem == "full" and not stages:
                stride = 1
            first = (
                bottleneck(inputs, 256, stride, dilation, 256)
                if depth == 50 and not stages
                else block(inputs, width, stride, dilation)
            )
            inputs, pixels = expansion * width, pixels * stride
            levels.append((inputs, pixels))
            stages.append(
                nn.Sequential(first, *(block(inputs, width, 1, dilation) for _ in range(blocks - 1)))
            )
        self.stages = nn.Sequential(*stages)
        self.dim, self.stride = inputs, pixels
        self.levels = tuple(levels)
        for module in self.stages.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return maps of the adapter and the four stages. ``levels`` gives their channels and strides."""
        maps = [self.adapter(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def features(self, x: Tensor) -> Tensor:
        """Map [batch, band, y, x] to feature maps [batch, dim, y / stride, x / stride]."""
        out: Tensor = self.stages(self.adapter(x))
        return out
