"""Boundary loss: pixels at class borders count more, as in UNet (arXiv 1505.04597). Runs on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from spectralearth_build.labels.classes import IGNORE

NONE = -1
"""Marks the absence of a nearest class."""
DEVIATION = 2.0
"""Distance from a border, in pixels (60 m), at which the extra weight has fallen to 0.61."""


def boundary_distance(truth: Tensor, reach: int, ignore: int = IGNORE) -> Tensor:
    """Return the distance to the nearest pixel of another class, exact up to ``reach``, for all classes at once.

    Pixels without a class, and the area outside the image, do not count as another class. The two nearest classes and
    their distances are found along each line. Along columns, at least one of the two is then another class.

    Args:
        truth: integers [batch, y, x].
        reach: maximum distance in pixels; larger distances become infinite.
        ignore: value of pixels without a class.

    Returns:
        Euclidean distance in pixels, float32 [batch, y, x]: 1 next to another class, infinite where ``truth`` is
        ignored.
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
    """Return the nearest class in the line of each pixel, its distance, and the distance of the nearest other class."""
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
    """Return pixel weights: 1 + strength x exp(-(d - 1)² / (2 deviation²)), with d of `boundary_distance`.

    Beyond four deviations, the second term is below 4e-4 of the strength and is left out.

    Args:
        truth: integers [batch, y, x].
        strength: extra weight next to another class; w0 of UNet, which uses 10.
        deviation: width in pixels; sigma of UNet, which uses 5.
        ignore: value of pixels without a class.

    Returns:
        float32 [batch, y, x], 1 to 1 + strength; 0 where ``truth`` is ignored.
    """
    distance = boundary_distance(truth, math.ceil(4 * deviation) + 1, ignore)
    weights = 1 + strength * torch.exp(-((distance - 1) ** 2) / (2 * deviation**2))
    return weights.masked_fill(truth == ignore, 0.0)


def boundary_loss(
    scores: Tensor, truth: Tensor, strength: float, deviation: float = DEVIATION, ignore: int = IGNORE
) -> Tensor:
    """Return the cross-entropy, averaged over pixels with `boundary_weights`; 0 if no pixel has a class.

    Args:
        scores: logits [batch, class, y, x].
        truth: integers [batch, y, x].
        strength: see `boundary_weights`; with 0 this is the usual cross-entropy.
        deviation: see `boundary_weights`.
        ignore: value of pixels without a class.
    """
    weights = boundary_weights(truth, strength, deviation, ignore)
    each = cross_entropy(scores.float(), truth.long(), ignore_index=ignore, reduction="none")
    return (each * weights).sum() / weights.sum().clamp(min=1)
