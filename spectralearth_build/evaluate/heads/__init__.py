"""Heads by name. A head maps encoder features to class scores.

head = make_head("unet", encoder, classes=15)
scores = head(see(encoder, head.takes, pixels), pixels.shape[-2:])  # [batch, class, y, x]

Parameters in millions, for 15 classes (each head documents its formula):

            resnet18  resnet50  vit_s  swin_t
linear          0.01      0.03   0.01    0.01
conv            0.01      0.03   0.01    0.01
fcn             0.59      9.45   0.33    1.33
unet            3.16      9.02   1.92    4.13
deeplab         5.43     16.85   4.37    7.33
upconv          1.59     25.07   0.83    3.58

This is for ResNets without ``dense`` and a ViT with patches of 4 pixels.
"""

from __future__ import annotations

from spectralearth_build.evaluate.heads.deeplab import DeepLab
from spectralearth_build.evaluate.heads.layers import Head, Takes, see
from spectralearth_build.evaluate.heads.plain import Conv, Fcn, Linear, UpConv
from spectralearth_build.evaluate.heads.unet import UNet
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.weights import CountsEncoder

HEADS = ("linear", "conv", "fcn", "unet", "deeplab", "upconv")
"""The names that `make_head` accepts."""

__all__ = ["HEADS", "Head", "Takes", "make_head", "see"]


def make_head(name: str, encoder: Encoder | CountsEncoder, classes: int) -> Head:
    """Make a head with new weights.

    Args:
        name: one of `HEADS`.
        encoder: what the head is for; only its ``dim``, ``stride`` and ``levels`` are read.
        classes: number of classes.

    Raises:
        ValueError: The name is unknown.
    """
    dim, stride, levels = encoder.dim, encoder.stride, encoder.levels
    match name:
        case "linear":
            return Linear(dim, classes)
        case "conv":
            return Conv(dim, classes)
        case "fcn":
            return Fcn(dim, classes)
        case "unet":
            return UNet(levels, classes)
        case "deeplab":
            return DeepLab(levels, classes)
        case "upconv":
            return UpConv(dim, stride, classes)
    raise ValueError(f"Unknown head '{name}'. The heads are: {', '.join(HEADS)}.")
