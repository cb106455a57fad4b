"""Loss functions, as pure functions of features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize


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
