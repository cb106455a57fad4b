"""Protocols: which part of an encoder is trained, and a model that freezes the rest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.heads import Head, Takes, see
from spectralearth_build.evaluate.task_config import EvaluateConfig, Protocol
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.spectra import Spectra, Standardise
from spectralearth_build.pretrain.weights import CountsEncoder, architecture_of, load_encoder


class Model(nn.Module):
    """An encoder and a head. ``train()`` only affects the parts that the protocol trains.

    Args:
        encoder: an encoder of stored values.
        head: a head of `heads.make_head`; None: the model only computes the input of a head.
        protocol: see `EvaluateConfig.protocol`.
        takes: which output of the encoder to use; if there is a head, the head decides.
    """

    def __init__(
        self, encoder: CountsEncoder, head: Head | None, protocol: Protocol, takes: Takes = "vector"
    ) -> None:
        super().__init__()
        self.standardise: Standardise = encoder.standardise
        self.encoder, self.head = encoder.encoder, head
        self.takes: Takes = takes if head is None else head.takes
        self.protocol = protocol
        self.encoder.requires_grad_(protocol in ("finetune", "scratch"))
        if protocol == "adapter":
            self.encoder.adapter.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Set the mode. Frozen parts stay in evaluation mode, so their statistics do not change."""
        super().train(mode)
        if self.protocol in ("frozen", "adapter"):
            self.encoder.eval()
        if self.protocol == "adapter":
            self.encoder.adapter.train(mode)
        return self

    def see(self, counts: Tensor) -> list[Tensor]:
        """Compute the input of the head from stored values, int16 [batch, band, y, x]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.protocol != "frozen"):
            return see(self.encoder, self.takes, self.standardise(counts))

    def forward(self, seen: Tensor | list[Tensor], size: int) -> Tensor:
        """Scores.

        Args:
            seen: stored values, or the output of `see`.
            size: edge of the images in pixels.

        Returns:
            [batch, class] or [batch, class, size, size].
        """
        assert self.head is not None
        maps = seen if isinstance(seen, list) else self.see(seen)
        scores: Tensor = self.head(maps, (size, size))
        return scores

    def trainable(self) -> tuple[int, int]:
        """Return the number of trained parameters: in total, and of the encoder."""
        everything, encoder = (
            sum(value.numel() for value in module.parameters() if value.requires_grad)
            for module in (self, self.encoder)
        )
        return everything, encoder


def encoder_of(path: Path | None, config: EvaluateConfig, spectra: Spectra, dataset: str) -> CountsEncoder:
    """Return the initial encoder.

    Args:
        path: file of weights; protocol scratch uses only its architecture. None: a new encoder, as in
            ``config.encoder``.
        config: the settings.
        spectra: bands and statistics of the dataset, used with new weights.
        dataset: the dataset, for messages.

    Raises:
        UsageError: The file is not an encoder, or the settings are invalid for the architecture.
        WavelengthError: Data and encoder have different bands.
    """
    if path is not None and config.protocol != "scratch":
        loaded = load_encoder(path, dense=config.dense, stem=config.stem)
        loaded.spectra.check(spectra, dataset)
        return loaded
    architecture = Architecture(
        config.encoder.name,
        len(spectra.mean),
        patch=config.encoder.patch,
        image=config.encoder.image or config.size,
        pool=config.encoder.pool or "token",
    )
    if path is not None:
        load_encoder(path).spectra.check(spectra, dataset)
        architecture = architecture_of(path)
    try:
        return CountsEncoder(build(architecture, config.dense, config.stem), spectra)
    except (TypeError, ValueError) as error:
        raise UsageError(
            str(error), remedy="Change the settings of the encoder, such as --set encoder.name=vit_s."
        ) from error


def digest(module: nn.Module) -> str:
    """Return a hash of all parameters and buffers, which is equal only if they are equal bit for bit."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
