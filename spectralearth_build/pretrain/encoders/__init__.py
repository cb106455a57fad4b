"""Encoders by name. Each maps standardised pixels [batch, band, y, x] to a vector (call) or to maps (`features`)."""

from __future__ import annotations

from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.encoders.encoder import Architecture, Encoder
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.swin import SpectralSwin
from spectralearth_build.pretrain.encoders.vit import SIZES, SpectralViT

__all__ = [
    "NAMES",
    "Architecture",
    "Encoder",
    "SpectralResNet",
    "SpectralSwin",
    "SpectralViT",
    "build",
    "make",
]

NAMES = ("resnet18", "resnet50", *(f"vit_{size}" for size in SIZES), "swin_t")
"""The names that `make` accepts."""


def make(
    name: str,
    bands: int,
    patch: int = 4,
    image: int = WINDOW,
    dense: bool = False,
    stem: str = "",
    pool: str = "token",
) -> Encoder:
    """Make an encoder with random weights.

    Args:
        name: one of `NAMES`.
        bands: number of bands, 75 or more.
        patch: for ViTs: edge of the patches in pixels.
        image: for ViTs: edge of the images that the position embeddings are made for.
        dense: for ResNets: use dilation instead of stride, for segmentation.
        stem: for ResNets: "full" for a first stage without stride.
        pool: for ViTs: "token" or "mean", see `SpectralViT`.

    Raises:
        ValueError: The name is unknown, or the numbers are invalid.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown encoder '{name}'. The encoders are: {', '.join(NAMES)}.")
    if name.startswith("resnet"):
        return SpectralResNet(bands, int(name.removeprefix("resnet")), dense, stem)
    if name.startswith("vit_"):
        return SpectralViT(bands, name.removeprefix("vit_"), patch, image, pool)
    return SpectralSwin(bands)


def build(architecture: Architecture, dense: bool = False, stem: str = "") -> Encoder:
    """Make an encoder of an architecture, with random weights.

    Args:
        architecture: the architecture.
        dense: as for `make`.
        stem: as for `make`.

    Raises:
        ValueError: As for `make`.
    """
    return make(**architecture.document(), dense=dense, stem=stem)
