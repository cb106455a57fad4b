"""Export of an encoder's weights under the names of SpectralEarth's code or of timm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from spectralearth_build.errors import UsageError
from spectralearth_build.files import replacing
from spectralearth_build.pretrain.encoders import SpectralResNet, SpectralViT
from spectralearth_build.pretrain.published.conversion import from_encoder
from spectralearth_build.pretrain.published.statistics import MEAN, STD
from spectralearth_build.pretrain.weights import CountsEncoder

NAMES = ("spectral_earth", "timm")
SUFFIXES = (".pth", ".pt", ".safetensors")


def export_weights(encoder: CountsEncoder, path: Path, names: str) -> list[Path]:
    """Write the weights of a ViT or ResNet for programs that build the network themselves.

    Args:
        encoder: the encoder.
        path: file to write: a state dict of torch (.pth or .pt), or .safetensors. The statistics of the input are
            written beside it as NAME.mu.npy and NAME.sigma.npy, float32 [band].
        names: one of `NAMES`. spectral_earth: SpecResNet50 and SpecVisionTransformer load the file with
            ``strict=True``. timm: the network behind the adapter has timm's names.

    Returns:
        The files written.

    Raises:
        UsageError: The encoder has no equivalent there.
    """
    network = encoder.encoder
    basic = isinstance(network, SpectralResNet) and network.dim < 2048
    if not isinstance(network, SpectralViT | SpectralResNet) or (basic and names == "spectral_earth"):
        remedy = "Write a torch program instead: export-encoder ENCODER encoder.pt2."
        raise UsageError(f"There are no names for this network in {names}.", path, remedy)
    tensors = from_encoder(network, timm=names == "timm")
    written = []
    for suffix, values in ((MEAN, encoder.spectra.mean), (STD, encoder.spectra.std)):
        written.append(path.with_name(f"{path.stem}.{suffix}"))
        with replacing(written[-1]) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(values, np.float32))
    with replacing(path) as temporary:
        if path.suffix == ".safetensors":
            save_file(tensors, temporary)
        else:
            with temporary.open("wb") as file:  # a path would become part of the bytes
                torch.save(tensors, file)
    return [path, *written]
