"""Encoders by name. Each turns standardised pixels [batch, band, y, x] into a vector (call) or maps (`features`)."""

from __future__ import annotations

from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.encoders.encoder import Architecture, Encoder
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.swin import SpectralSwin
from spectralearth_build.pretrain.encoders.vit import SIZES, SpectralViT

__all__ = ["NAMES", "Architecture", "Encoder", "build", "make"]

NAMES = ("resnet18", "resnet50", *(f"vit_{size}" for size in SIZES), "swin_t")
"""What `make` knows."""


def make(
    name: str,
    bands: int,
    patch: int = 4,
    image: int = WINDOW,
    dense: bool = False,
    stem: str = "",
    pool: str = "token",
) -> Encoder:
    """Make an encoder with new weights.

    Args:
        name: one of `NAMES`.
        bands: number of bands, 75 or more.
        patch: edge of a ViT's patches, pixels.
        image: edge of the images that a ViT's positions are made for.
        dense: ResNets: dilation instead of stride, for segmentation.
        stem: ResNets: "full" for a first stage without stride.
        pool: ViTs: "token" or "mean", see `SpectralViT`.

    Raises:
        ValueError: an unknown name, or numbers that do not fit.
    """
    if name not in NAMES:
        raise ValueError(f"There is no encoder '{name}'; there are {', '.join(NAMES)}.")
    if name.startswith("resnet"):
        return SpectralResNet(bands, int(name.removeprefix("resnet")), dense, stem)
    if name.startswith("vit_"):
        return SpectralViT(bands, name.removeprefix("vit_"), patch, image, pool)
    return SpectralSwin(bands)


def build(architecture: Architecture, dense: bool = False, stem: str = "") -> Encoder:
    """Make an encoder of some architecture with new weights.

    Args:
        architecture: what it is.
        dense: as of `make`.
        stem: as of `make`.

    Raises:
        ValueError: as of `make`.
    """
    return make(**architecture.document(), dense=dense, stem=stem)
