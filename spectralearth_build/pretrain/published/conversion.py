"""From SpectralEarth's weights to an encoder of this package and back. Every weight is matched, or all is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.encoders import Architecture, Encoder, build
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.published.names import (
    is_classifier,
    published_name,
    published_shape,
    timm_name,
)
from spectralearth_build.texts import listed

MOST = 8
"""How many weights a message lists of each kind of mistake."""
_REMEDY = "Use weights of SpectralEarth's SpecResNet50 or SpecVisionTransformer, complete and unchanged."
_BASIC = "resnet.layer1.0.conv2.weight"
_POSITIONS, _PROJECTION, _BLOCK = "vit_core.pos_embed", "vit_core.patch_embed.proj.weight", "vit_core.blocks."


def architecture_from(tensors: Mapping[str, Tensor], bands: int, path: Path) -> Architecture:
    """Read from the shapes of weights what network they belong to.

    The number of attention heads does not show in shapes. It is that of the size with this width and depth.

    Args:
        tensors: weights under SpectralEarth's names.
        bands: number of bands of the input; the adapter takes any.
        path: their file, for messages.

    Raises:
        UsageError: The shapes are those of no encoder.
    """
    if not any(name.startswith("vit_core.") for name in tensors):
        bottlenecks = any(".conv3." in name for name in tensors) or _BASIC not in tensors
        return Architecture("resnet50" if bottlenecks else "resnet18", bands)
    if missing := [name for name in (_POSITIONS, _PROJECTION) if name not in tensors]:
        raise UsageError(f"The file lacks:{listed(missing)}", path, _REMEDY)
    positions, projection = tensors[_POSITIONS], tensors[_PROJECTION]
    grid = math.isqrt(max(0, positions.shape[1] - 1)) if positions.dim() == 3 else 0
    if positions.dim() != 3 or projection.dim() != 4 or not grid or positions.shape[1] != 1 + grid**2:
        shapes = f"{_POSITIONS} {list(positions.shape)}, {_PROJECTION} {list(projection.shape)}"
        raise UsageError(f"These shapes are not those of a ViT for square images: {shapes}.", path, _REMEDY)
    width, patch = positions.shape[2], projection.shape[3]
    depth = len({name.split(".")[2] for name in tensors if name.startswith(_BLOCK)})
    for size, (known, blocks, _) in SIZES.items():
        if (known, blocks) == (width, depth):
            return Architecture(f"vit_{size}", bands, patch=patch, image=grid * patch, pool="token")
    sizes = ", ".join(f"{size} ({width} x {depth})" for size, (width, depth, _) in SIZES.items())
    raise UsageError(
        f"There is no ViT of width {width} with {depth} blocks. The sizes are {sizes}.", path, _REMEDY
    )


def to_encoder(tensors: Mapping[str, Tensor], architecture: Architecture, path: Path) -> Encoder:
    """Return the encoder with these weights.

    Args:
        tensors: weights under SpectralEarth's names. A layer for classes is left out.
        architecture: the architecture.
        path: their file, for messages.

    Raises:
        UsageError: A weight is missing, unknown or of another shape. The message names them.
    """
    with torch.device("meta"):
        encoder = build(architecture)
    ours = {name: (tuple(value.shape), value.dtype) for name, value in encoder.state_dict().items()}
    theirs = {
        published_name(name): (published_shape(name, shape), kind) for name, (shape, kind) in ours.items()
    }
    given = {name: value for name, value in tensors.items() if not is_classifier(name)}
    faults = {
        "missing": [name for name in theirs if name not in given],
        "unknown": [name for name in given if name not in theirs],
        "of another shape": [
            f"{name} {_form(*_shape_of(given[name]))} instead of {_form(*form)}"
            for name, form in theirs.items()
            if name in given and _shape_of(given[name]) != form
        ],
    }
    if any(faults.values()):
        found = "".join(f"{kind}:{listed(names, MOST)}" for kind, names in faults.items() if names)
        raise UsageError(f"The weights are not those of {architecture.name}. {found}", path, _REMEDY)
    state = {name: given[published_name(name)].reshape(shape) for name, (shape, _) in ours.items()}
    encoder.load_state_dict(state, assign=True)
    return encoder


def _shape_of(value: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(value.shape), value.dtype


def _form(shape: tuple[int, ...], kind: torch.dtype) -> str:
    return f"{str(kind).removeprefix('torch.')} {list(shape)}"


def from_encoder(encoder: Encoder, timm: bool = False) -> dict[str, Tensor]:
    """Return the weights of a ViT or ResNet under SpectralEarth's names.

    Args:
        encoder: the encoder.
        timm: whether to use timm's names for the network behind the adapter.
    """
    out = {}
    for name, value in encoder.state_dict().items():
        theirs = published_name(name)
        shaped = value.reshape(published_shape(name, tuple(value.shape))).contiguous()
        out[timm_name(theirs) if timm else theirs] = shaped
    return out
