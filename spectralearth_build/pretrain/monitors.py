"""Monitors of collapse: figures of the features, and a warning that names the likely cause."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

WINDOW = 1024
"""Number of features from which the figures are computed."""


class Recent:
    """The features of the most recent samples, kept on their device.

    Args:
        length: number of samples to keep.
    """

    def __init__(self, length: int = WINDOW) -> None:
        self.length = length
        self.features: Tensor | None = None

    def add(self, features: Tensor) -> None:
        """Add features [batch, dim] and drop the oldest."""
        features = features.detach().float()
        held = features if self.features is None else torch.cat([self.features, features])
        self.features = held[-self.length :]

    def figures(self) -> dict[str, float]:
        """Return ``feature_std``, ``rank`` and ``dim``. Empty with fewer than two samples."""
        if self.features is None or len(self.features) < 2:
            return {}
        return {
            "feature_std": feature_std(self.features),
            "rank": rank_me(self.features),
        }


def feature_std(features: Tensor) -> float:
    """Return the standard deviation of normalised features [sample, dim], averaged over dim, times sqrt(dim).

    It is about 1 if directions are spread evenly, and 0 if all are the same.
    """
    return float(normalize(features.float(), dim=1).std(0).mean()) * math.sqrt(features.shape[1])


def rank_me(features: Tensor) -> float:
    """Return the effective rank of features [sample, dim]: the exponential of the entropy of their singular values.

    This is RankMe (arXiv 2210.02885). It lies between 1 and the smaller of sample and dim.
    """
    values = torch.linalg.svdvals(features.float())
    share = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-torch.xlogy(share, share + 1e-7).sum()))


def diagnosis(figures: dict[str, float], prototypes: int = 0) -> str | None:
    """Return the likely problem of a run, as a warning; None if there is none.

    Args:
        figures: the figures of `Recent.figures` and, for DINO, ``teacher_entropy``.
        prototypes: number of outputs of the DINO head.
    """
    entropy = figures.get("teacher_entropy")
    if entropy is not None and entropy < 0.05:
        return (
            "Collapse: the teacher assigns everything to one prototype. Its temperature is too low or "
            "the centre moves too slowly. Raise dino.teacher_temperature or lower dino.centre_momentum."
        )
    if entropy is not None and entropy > 0.98 * math.log(prototypes):
        return (
            "Collapse: the distributions of the teacher are uniform. Its temperature or the learning "
            "rate is too high. Lower dino.teacher_temperature or train.rate."
        )
    if figures.get("feature_std", 1.0) < 0.05:
        return (
            "Collapse: all images have the same feature vector. Lower train.rate, lengthen train.warmup, "
            "or check that the objective has enough negatives (moco.queue, train.batch) or centring "
            "(dino.centre_momentum)."
        )
    if figures.get("rank", math.inf) < 1.5:
        return (
            "Collapse: all features lie on one line. Lower train.rate, or make the two views less "
            "similar (scale under views, data.dates)."
        )
    return None
