"""Is the encoder learning, or collapsing? Figures of its features, and a warning that names the likely cause."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

WINDOW = 1024
"""Features that the figures are made of."""


class Recent:
    """The features of the last samples, kept on their device.

    Args:
        length: how many.
    """

    def __init__(self, length: int = WINDOW) -> None:
        self.length = length
        self.features: Tensor | None = None

    def add(self, features: Tensor) -> None:
        """Add features [batch, dim]; the oldest go."""
        features = features.detach().float()
        held = features if self.features is None else torch.cat([self.features, features])
        self.features = held[-self.length :]

    def figures(self) -> dict[str, float]:
        """``feature_std``, ``rank`` and ``dim``; nothing before the second sample."""
        if self.features is None or len(self.features) < 2:
            return {}
        return {
            "feature_std": feature_std(self.features),
            "rank": rank_me(self.features),
        }


def feature_std(features: Tensor) -> float:
    """Standard deviation of normalised features [sample, dim], mean over dim, times sqrt(dim).

    About 1 where directions are spread evenly, 0 where all are the same.
    """
    return float(normalize(features.float(), dim=1).std(0).mean()) * math.sqrt(features.shape[1])


def rank_me(features: Tensor) -> float:
    """Effective rank of features [sample, dim]: the exponential of the entropy of their singular values.

    RankMe (arXiv 2210.02885); between 1 and the smaller of sample and dim.
    """
    values = torch.linalg.svdvals(features.float())
    share = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-torch.xlogy(share, share + 1e-7).sum()))


def diagnosis(figures: dict[str, float], prototypes: int = 0) -> str | None:
    """What is probably wrong, in a sentence; None if nothing is.

    Args:
        figures: of `Recent.figures` and, of DINO, ``teacher_entropy``.
        prototypes: outputs of DINO's head.
    """
    entropy = figures.get("teacher_entropy")
    if entropy is not None and entropy < 0.05:
        return (
            "Collapse: the teacher puts everything on one prototype. The centre follows too slowly or the teacher's "
            "temperature is too low: raise dino.teacher_temperature or lower dino.centre_momentum."
        )
    if entropy is not None and entropy > 0.98 * math.log(prototypes):
        return (
            "Collapse: the teacher's distributions are uniform. Its temperature is too high: lower "
            "dino.teacher_temperature; or the learning rate is."
        )
    if figures.get("feature_std", 1.0) < 0.05:
        return (
            "Collapse: all images have the same feature. Lower train.rate, lengthen train.warmup, or check that the "
            "objective has negatives (moco.queue, train.batch) or centring."
        )
    if figures.get("rank", math.inf) < 1.5:
        return "Collapse: all features lie on one line. Lower train.rate, or make views less alike (crop scale, dates)."
    return None
