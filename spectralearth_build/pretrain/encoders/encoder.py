"""The base class of encoders, and their architecture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor, nn

from spectralearth_build.pretrain.encoders.adapter import SpectralAdapter


class Encoder(nn.Module):
    """A network that maps standardised pixels to one vector per image (call) or to maps (`features`)."""

    adapter: SpectralAdapter
    """Maps bands to the channels of the network."""
    dim: int
    """Number of channels of the last map, which is the length of a vector."""
    stride: int
    """Stride of the last map in pixels of the image."""
    levels: tuple[tuple[int, int], ...]
    """Channels and stride of each map of `pyramid`, fine to coarse."""
    multiple: int = 1
    """The edge of an image must be a multiple of this many pixels."""
    map_head: str = "upconv"
    """Name of the default head for segmentation."""
    pool: str = ""
    """How tokens are pooled to a vector; empty: not applicable."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Map [batch, band, y, x] to feature maps [batch, dim, y / stride, x / stride]."""

    @abstractmethod
    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return maps of all ``levels``, fine to coarse."""

    def forward(self, x: Tensor) -> Tensor:
        """Map images [batch, band, y, x] to vectors [batch, dim], the mean of `features`."""
        return self.features(x).mean((2, 3))


@dataclass(frozen=True)
class Architecture:
    """The architecture of an encoder, which is stored in its file."""

    name: str
    """One of `encoders.NAMES`."""
    bands: int
    """Number of bands, 75 or more."""
    patch: int = 4
    """ViT only: edge of the patches in pixels."""
    image: int = 128
    """ViT only: edge of the images that the position embeddings are made for."""
    pool: str = "token"
    """ViT only: pooling, "token" or "mean", see `SpectralViT`."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Parse the output of `document`.

        Raises:
            TypeError: The document is invalid.
        """
        return cls(**document)

    def document(self) -> dict[str, Any]:
        """Return a JSON document for the encoder's file."""
        return asdict(self)
