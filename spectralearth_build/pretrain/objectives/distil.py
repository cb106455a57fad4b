"""Distillation: predict the vectors of a larger, trained encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, mse_loss

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.base import Objective, one_of
from spectralearth_build.pretrain.objectives.losses import opposed
from spectralearth_build.pretrain.recipes import DistilConfig
from spectralearth_build.pretrain.spectra import Spectra, Standardise
from spectralearth_build.pretrain.weights import load_encoder, seen_by


class Distil(Objective):
    """Distillation. If there are two dates, each sample uses a random one.

    The teacher is not among the module's networks: it is not trained, and not in checkpoints.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
        spectra: bands and statistics of the images.

    Raises:
        UsageError: The teacher cannot be read.
        WavelengthError: It was made for other bands.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, encoder: Encoder, config: DistilConfig, spectra: Spectra) -> None:
        super().__init__(encoder)
        self.config = config
        counts, self.teacher_saw = load_encoder(config.teacher), seen_by(config.teacher)
        counts.spectra.check(spectra, "the dataset")
        self._teacher = (counts.encoder.requires_grad_(False).eval(),)
        self.bridge = nn.Linear(encoder.dim, counts.dim)
        # Images are standardised with the statistics of the dataset, which need not be the teacher's.
        theirs = Standardise(counts.spectra)
        mean, std = (torch.tensor(each)[:, None, None] for each in (spectra.mean, spectra.std))
        self.register_buffer("scale", std * theirs.factor, persistent=False)
        self.register_buffer("shift", (mean - theirs.mean) * theirs.factor, persistent=False)

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            image = augment(one_of(series, draw), self.config.views, draw)
        return self.loss(image)

    def loss(self, image: Tensor) -> Tensor:
        """Return the loss of images [batch, band, y, x]."""
        features = self.encoder(image)
        self.seen = features.detach()
        predicted, target = self.bridge(features), self.taught(image)
        if self.config.loss == "cosine":
            return opposed(predicted, target)
        return mse_loss(predicted.float(), layer_norm(target.float(), target.shape[1:]))

    @torch.no_grad()
    def taught(self, image: Tensor) -> Tensor:
        """Return the vectors of the teacher, [batch, dim]."""
        teacher = self._teacher[0].to(image.device)
        vectors: Tensor = teacher(image * self.scale.to(image) + self.shift.to(image))
        return vectors
