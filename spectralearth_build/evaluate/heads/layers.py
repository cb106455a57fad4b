"""What heads are made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.weights import CountsEncoder

Takes = Literal["vector", "features", "pyramid"]
"""What of an encoder a head reads: one vector an image, the last map, or the maps of all levels."""


class Head(nn.Module):
    """From what an encoder sees to scores of classes. `see` makes the maps that a head takes."""

    takes: Takes = "features"

    @abstractmethod
    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Scores (logits).

        Args:
            maps: of `see`, [batch, channel, y, x] each, fine to coarse (vector: [batch, dim]).
            size: lines and columns of the image.

        Returns:
            [batch, class, *size]; of a head that takes a vector [batch, class].
        """


def see(encoder: Encoder | CountsEncoder, takes: Takes, pixels: Tensor) -> list[Tensor]:
    """What a head takes of an encoder; may be kept where the encoder is frozen.

    Args:
        encoder: of standardised pixels or of counts.
        takes: of the head.
        pixels: [batch, band, y, x], as the encoder wants them.
    """
    if takes == "vector":
        return [encoder(pixels)]
    if takes == "features":
        return [encoder.features(pixels)]
    return encoder.pyramid(pixels)


def conv(inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU; kernel² x inputs x outputs + 2 outputs parameters."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear to [batch, channel, *size]; pixel areas keep their places."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return interpolate(x, tuple(size), mode="bilinear", align_corners=False)
