"""Pixels at the border of two classes count more, as in UNet (arXiv 1505.04597); distances are made on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from spectralearth_build.labels.classes import IGNORE

NONE = -1
"""Stands for no class among the nearest ones."""
DEVIATION = 2.0
"""Pixels, 60 m: how far from a border the weight has fallen to 0.61 of its rise."""


def boundary_distance(truth: Tensor, reach: int, ignore: int = IGNORE) -> Tensor:
    """Distance to the nearest pixel of another class, exact up to ``reach``, of all classes at once.

    Pixels without a class are no other class, and neither is what lies beyond the image. Along each line the two
    nearest classes and their distances are found; then, along columns, one of the two is another class.

    Args:
        truth: whole numbers [batch, y, x].
        reach: pixels; larger distances become infinite.
        ignore: of pixels without a class.

    Returns:
        Euclidean, in pixels, float32 [batch, y, x]; 1 beside another class, infinite where ``truth`` is ignored.
    """
    own = truth.int().masked_fill(truth == ignore, NONE)
    nearest, first, second = _along_lines(own, reach)
    rows = [
        pad(each, (0, 0, reach, reach), value=fill)
        for each, fill in ((nearest, NONE), (first, math.inf), (second, math.inf))
    ]
    squared = torch.full_like(first, math.inf)
    for step in range(-reach, reach + 1):
        theirs, near, far = (each.narrow(1, reach + step, own.shape[1]) for each in rows)
        squared = torch.minimum(squared, torch.where(theirs == own, far, near) ** 2 + step**2)
    distance = squared.sqrt()
    return distance.masked_fill((distance > reach) | (own == NONE), math.inf)


def _along_lines(own: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest class in each pixel's line, its distance, and the distance of the nearest of another class."""
    line = pad(own, (reach, reach), value=NONE)
    nearest = own
    first = torch.zeros(own.shape, device=own.device).masked_fill(own == NONE, math.inf)
    second = torch.full_like(first, math.inf)
    for step in range(1, reach + 1):
        for place in (reach - step, reach + step):
            found = line.narrow(2, place, own.shape[2])
            another = (found != NONE) & (nearest != NONE) & (found != nearest)
            second = torch.where(another & second.isinf(), float(step), second)
            first = torch.where((found != NONE) & (nearest == NONE), float(step), first)
            nearest = torch.where(nearest == NONE, found, nearest)
    return nearest, first, second


def boundary_weights(
    truth: Tensor, strength: float, deviation: float = DEVIATION, ignore: int = IGNORE
) -> Tensor:
    """Weights of pixels: 1 + strength x exp(-(d - 1)² / (2 deviation²)), d as of `boundary_distance`.

    Beyond four deviations, where the second term is below 4e-4 of the strength, it is left out.

    Args:
        truth: whole numbers [batch, y, x].
        strength: rise beside another class; UNet's w0 is 10.
        deviation: pixels; UNet's sigma is 5.
        ignore: of pixels without a class.

    Returns:
        float32 [batch, y, x], 1 to 1 + strength; 0 where ``truth`` is ignored.
    """
    distance = boundary_distance(truth, math.ceil(4 * deviation) + 1, ignore)
    weights = 1 + strength * torch.exp(-((distance - 1) ** 2) / (2 * deviation**2))
    return weights.masked_fill(truth == ignore, 0.0)


def boundary_loss(
    scores: Tensor, truth: Tensor, strength: float, deviation: float = DEVIATION, ignore: int = IGNORE
) -> Tensor:
    """Cross-entropy, mean over pixels weighted by `boundary_weights`; 0 if no pixel has a class.

    Args:
        scores: logits [batch, class, y, x].
        truth: whole numbers [batch, y, x].
        strength: of the weights; at 0 this is the usual cross-entropy.
        deviation: of the weights.
        ignore: of pixels without a class.
    """
    weights = boundary_weights(truth, strength, deviation, ignore)
    each = cross_entropy(scores.float(), truth.long(), ignore_index=ignore, reduction="none")
    return (each * weights).sum() / weights.sum().clamp(min=1)
