"""Names and shapes of weights: ours, and those of SpectralEarth's networks SpecResNet50 and SpecVisionTransformer.

Their adapter is made of 3-D convolutions, so its kernels have one more axis. Their patch embedding is a convolution.
Behind the adapter they use networks of timm: without the prefixes ``vit_core.`` and ``resnet.``, names are timm's.
"""

from __future__ import annotations

import math
import re

from spectralearth_build.pretrain.encoders.adapter import CHANNELS

Shape = tuple[int, ...]

CORES = ("vit_core.", "resnet.")
"""Prefixes of what follows the adapter."""
ADAPTER = "spectral_adapter."
_OF_BLOCK = {
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
_OF_VIT = {
    "token": "cls_token",
    "positions": "pos_embed",
    "embed.weight": "patch_embed.proj.weight",
    "embed.bias": "patch_embed.proj.bias",
}
_CLASSIFIER = re.compile(r"(vit_core\.head|resnet\.fc)\.")
_CORE_OF = dict.fromkeys(("cls_token", "pos_embed", "patch_embed", "blocks", "norm", "head"), "vit_core.") | (
    dict.fromkeys(("layer1", "layer2", "layer3", "layer4", "fc"), "resnet.")
)
"""The prefix that a name lacks, by its first word."""


def published_name(name: str) -> str:
    """Return SpectralEarth's name of a weight of a ViT or ResNet of this package.

    Args:
        name: name in the state dict of the encoder, such as ``blocks.0.attention.qkv.weight``.
    """
    parts = name.split(".")
    if parts[0] == "adapter":  # adapter.layers.LAYER.PART.*; a layer is convolution, normalisation, ReLU
        return f"{ADAPTER}{3 * int(parts[2]) + int(parts[3])}.{parts[4]}"
    if parts[0] == "stages":
        return f"resnet.layer{int(parts[1]) + 1}.{parts[2]}.{_in_residual_block(parts[3:])}"
    if parts[0] == "blocks":
        inner = ".".join(parts[2:-1])
        return f"vit_core.blocks.{parts[1]}.{_OF_BLOCK.get(inner, inner)}.{parts[-1]}"
    return f"vit_core.{_OF_VIT.get(name, name)}"


def _in_residual_block(parts: list[str]) -> str:
    """Return timm's name within a residual block; ours counts convolution, normalisation and ReLU one after another."""
    if parts[0] == "shortcut":
        return f"downsample.{parts[1]}.{parts[2]}"
    number, part = divmod(int(parts[1]), 3)
    return f"{('conv', 'bn')[part]}{number + 1}.{parts[2]}"


def published_shape(name: str, shape: Shape) -> Shape:
    """Return the shape in which SpectralEarth stores a weight.

    Args:
        name: our name.
        shape: our shape.
    """
    if name.startswith("adapter.") and len(shape) == 4:
        return (*shape, 1)
    if name == "embed.weight":
        patch = math.isqrt(shape[1] // CHANNELS)
        return (shape[0], CHANNELS, patch, patch)
    return shape


def timm_name(name: str) -> str:
    """Return timm's name for a name of SpectralEarth. The adapter, which timm does not have, keeps its own."""
    for core in CORES:
        name = name.removeprefix(core)
    return name


def standard_name(name: str) -> str:
    """Return the one name of SpectralEarth for any of the names that a weight has in files.

    Their MAE wraps the network, so its checkpoints hold each weight several times; timm's names lack the prefix.

    Args:
        name: a name, without the prefix of the network in a checkpoint.
    """
    name = name.removeprefix("spec_vit.")
    name = _CORE_OF.get(name.split(".")[0], "") + name
    name = name.replace(f"vit_core.patch_embed.{ADAPTER}", ADAPTER)
    return name.replace("patch_embed.original_patch_embed.", "patch_embed.")


def is_classifier(name: str) -> bool:
    """Return whether a standard name is that of the last layer for classes, which is no part of an encoder."""
    return bool(_CLASSIFIER.match(name))
