"""What every encoder offers, and what it takes to make one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor, nn

from spectralearth_build.pretrain.encoders.adapter import SpectralAdapter


class Encoder(nn.Module):
    """A network that turns standardised pixels into a vector an image (call) or into maps (`features`)."""

    adapter: SpectralAdapter
    """From bands to the channels of the network."""
    dim: int
    """Channels of the last map, which is the length of a vector."""
    stride: int
    """Pixels of the image along the edge of a pixel of the last map."""
    levels: tuple[tuple[int, int], ...]
    """Channels and stride of each map of `pyramid`, fine to coarse."""
    multiple: int = 1
    """The edge of an image must be a multiple of so many pixels."""
    map_head: str = "upconv"
    """Name of the head that suits its maps, for segmentation."""
    pool: str = ""
    """How vectors are made of tokens; empty: there is one way only."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Maps: [batch, band, y, x] to [batch, dim, y / stride, x / stride]."""

    @abstractmethod
    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Maps of all ``levels``, fine to coarse."""

    def forward(self, x: Tensor) -> Tensor:
        """One vector an image: [batch, band, y, x] to [batch, dim], the mean of `features`."""
        return self.features(x).mean((2, 3))


@dataclass(frozen=True)
class Architecture:
    """What an encoder is but for its weights; part of its file."""

    name: str
    """One of `encoders.NAMES`."""
    bands: int
    """Number of bands, 75 or more."""
    patch: int = 4
    """Edge of a ViT's patches, pixels."""
    image: int = 128
    """Edge of the images that a ViT's positions are made for."""
    pool: str = "token"
    """How a ViT makes vectors: "token" or "mean", see `SpectralViT`."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` has given.

        Raises:
            TypeError: it is something else.
        """
        return cls(**document)

    def document(self) -> dict[str, Any]:
        """For the encoder's file."""
        return asdict(self)
