"""Weighted k-nearest neighbours by cosine similarity, as in the protocol of DINO (arXiv 2104.14294)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

AT_ONCE = 4096
"""Number of query samples whose cosines are in memory at a time."""


class Neighbours:
    """A k-NN classifier: samples with known labels vote on the labels of others.

    Args:
        known: features [n, dim].
        targets: [n, class], 0 to 1; one or several labels per sample.
        k: number of neighbours that vote.
        temperature: divides the cosines; the weight of a vote is the exponential.
    """

    def __init__(self, known: Tensor, targets: Tensor, k: int = 20, temperature: float = 0.07) -> None:
        self.known, self.targets = normalize(known.float(), dim=1), targets.float()
        self.k, self.temperature = min(k, len(known)), temperature

    def __call__(self, asked: Tensor) -> Tensor:
        """Map features [m, dim] to shares of the votes, float32 [m, class]. Above 0.5, the majority has the label."""
        out = []
        for part in torch.split(normalize(asked.float(), dim=1), AT_ONCE):
            cosine, index = (part @ self.known.T).topk(self.k, dim=1)
            votes = (cosine / self.temperature).softmax(1)
            out.append(torch.einsum("mk,mkc->mc", votes, self.targets[index]))
        return torch.cat(out)


def k_nearest(
    known: Tensor, labels: Tensor, asked: Tensor, truth: Tensor, k: int = 20, temperature: float = 0.07
) -> float:
    """Return the accuracy of k-NN classification.

    Args:
        known: features [n, dim] of labelled samples.
        labels: int64 [n].
        asked: features [m, dim] of the samples to classify.
        truth: int64 [m], their labels.
        k: number of neighbours that vote.
        temperature: see `Neighbours`.
    """
    classes = int(torch.max(labels.max(), truth.max())) + 1
    votes = Neighbours(known, one_hot(labels, classes), k, temperature)(asked)
    return float((votes.argmax(1) == truth).float().mean())
