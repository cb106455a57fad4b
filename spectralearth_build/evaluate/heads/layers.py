"""Building blocks of heads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.weights import CountsEncoder

Takes = Literal["vector", "features", "pyramid"]
"""The encoder output that a head takes: one vector per image, the last feature map, or the maps of all levels."""


class Head(nn.Module):
    """The base class of heads, which map encoder output to class scores. `see` computes the input of a head."""

    takes: Takes = "features"

    @abstractmethod
    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Compute scores (logits).

        Args:
            maps: output of `see`, [batch, channel, y, x] each, fine to coarse (vector: [batch, dim]).
            size: height and width of the image in pixels.

        Returns:
            [batch, class, *size], or [batch, class] for a head that takes a vector.
        """


def see(encoder: Encoder | CountsEncoder, takes: Takes, pixels: Tensor) -> list[Tensor]:
    """Compute the input of a head. If the encoder is frozen, it can be cached.

    Args:
        encoder: of standardised pixels or of counts.
        takes: the attribute ``takes`` of the head.
        pixels: [batch, band, y, x], in the input format of the encoder.
    """
    if takes == "vector":
        return [encoder(pixels)]
    if takes == "features":
        return [encoder.features(pixels)]
    return encoder.pyramid(pixels)


def conv(inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Return a same-size convolution, batch normalisation, ReLU: kernel² x inputs x outputs + 2 outputs parameters."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize bilinearly to [batch, channel, *size], with aligned pixel areas (not corners)."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return interpolate(x, tuple(size), mode="bilinear", align_corners=False)
