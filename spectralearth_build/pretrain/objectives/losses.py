"""Loss functions, as pure functions of features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, cosine_similarity, cross_entropy, log_softmax, normalize, relu


def nt_xent(
    first: Tensor,
    second: Tensor,
    temperature: float,
    places: Tensor | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Tensor:
    """Normalised temperature-scaled cross entropy (SimCLR, arXiv 2002.05709) over all pairs of two views.

    If all embeddings are equal, the loss is log(2 N - 1).

    Args:
        first: [N, dim], features of one view, from all processes.
        second: [N, dim], features of the other view.
        temperature: divides the cosines.
        places: int [N], location of each sample. Other samples of the same location are not negatives. None: all are.
        rank: rank of this process; the loss is over its own samples only.
        ranks: number of processes.
    """
    count = len(first)
    both = normalize(torch.cat([first, second]).float(), dim=-1)
    own = torch.arange(count, device=first.device).view(ranks, -1)[rank]
    asked = torch.cat([own, own + count])
    logits = both[asked] @ both.T / temperature
    partner = (asked + count) % (2 * count)
    everyone = torch.arange(2 * count, device=first.device)
    hidden = everyone == asked[:, None]
    if places is not None:
        twice = places.repeat(2)
        hidden |= (twice[asked][:, None] == twice) & (everyone != partner[:, None])
    return cross_entropy(logits.masked_fill(hidden, float("-inf")), partner)


def info_nce(
    query: Tensor, key: Tensor, queue: Tensor, temperature: float, same: Tensor | None = None
) -> Tensor:
    """Cross entropy of the positive key among the keys of a queue (MoCo, arXiv 1911.05722).

    Args:
        query: normalised [batch, dim].
        key: normalised [batch, dim], the positives.
        queue: normalised [length, dim], the negatives.
        temperature: divides the cosines.
        same: bool [batch, length], true for keys of the query's own location, which are not negatives.
    """
    positive = (query * key).sum(1, keepdim=True)
    negative = query @ queue.T
    if same is not None:
        negative = negative.masked_fill(same, float("-inf"))
    logits = torch.cat([positive, negative], 1).float() / temperature
    return cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


def dino(student: list[Tensor], targets: list[Tensor], temperature: float) -> Tensor:
    """Cross entropy between teacher and student distributions, over all pairs of different views.

    Args:
        student: logits [batch, prototypes] of every view, global views first.
        targets: teacher distributions [batch, prototypes] of the global views.
        temperature: divides the logits of the student.
    """
    log_p = [log_softmax(logits.float() / temperature, dim=-1) for logits in student]
    terms = [
        -(target * other).sum(1).mean()
        for i, target in enumerate(targets)
        for j, other in enumerate(log_p)
        if i != j
    ]
    return torch.stack(terms).mean()


def opposed(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean of 2 - 2 cos between predictions and targets, each [batch, dim] (BYOL, arXiv 2006.07733)."""
    return 2 - 2 * cosine_similarity(predicted.float(), target.float(), dim=-1).mean()


def barlow(first: Tensor, second: Tensor, off_diagonal: float) -> Tensor:
    """Barlow Twins (arXiv 2103.03230): squared differences between the correlation of two views and the identity.

    Args:
        first: [batch, dim], projections of one view, from all processes.
        second: [batch, dim], projections of the other view.
        off_diagonal: weight of the elements off the diagonal.
    """
    one, two = (batch_norm(each.float(), None, None, training=True) for each in (first, second))
    correlation = one.T @ two / len(one)
    on = torch.diagonal(correlation)
    rest = correlation.square().sum() - on.square().sum()
    return (1 - on).square().sum() + off_diagonal * rest


def vicreg(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """VICReg (arXiv 2105.04906): invariance, variance and covariance terms with their weights.

    The squared difference is the mean over dimensions, as in the published code; the paper writes the sum.

    Args:
        first: [batch, dim], projections of one view, from all processes.
        second: [batch, dim], projections of the other view.
        invariance: weight of the difference between the views.
        variance: weight of the hinge on standard deviations below 1.
        covariance: weight of the covariances between dimensions.
    """
    first, second = first.float(), second.float()
    total = invariance * (first - second).square().mean()
    for each in (first, second):
        table = torch.cov(each.T)
        spread = (torch.diagonal(table) + 1e-4).sqrt()
        squares = table.square().sum() - torch.diagonal(table).square().sum()
        total = total + variance * relu(1 - spread).mean() + covariance * squares / each.shape[1]
    return total


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Assign samples to clusters of equal size (SwAV, arXiv 2006.09882).

    Args:
        scores: [sample, cluster], from all processes.
        epsilon: smoothness; a larger one gives more even assignments.
        iterations: rounds of normalising clusters, then samples.

    Returns:
        Probabilities [sample, cluster]; each row has the sum 1.
    """
    logits = scores.float() / epsilon
    for _ in range(iterations):
        logits = log_softmax(logits, dim=0)  # of each cluster
        logits = log_softmax(logits, dim=1)  # of each sample
    return logits.exp()


def masked_error(predicted: Tensor, target: Tensor, normalised: bool = True) -> Tensor:
    """Mean squared error of masked patches (MAE, arXiv 2111.06377).

    Args:
        predicted: [batch, masked patch, value].
        target: the values of the image, of the same shape.
        normalised: whether to normalise each target patch to mean 0 and variance 1.
    """
    target = target.float()
    if normalised:
        spread, mean = torch.var_mean(target, dim=-1, keepdim=True)
        target = (target - mean) / (spread + 1e-6).sqrt()
    return (predicted.float() - target).square().mean()
