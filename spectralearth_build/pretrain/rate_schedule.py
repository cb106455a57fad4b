"""Schedules over the steps of a run. Each reaches its final value exactly at the last step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence


def cosine(step: int, total: int, start: float, end: float, warmup: int = 0) -> float:
    """Return the value of a cosine schedule from ``start`` to ``end``, after a linear warm-up from 0.

    Args:
        step: 0 for the first step, ``total - 1`` for the last one, whose value is ``end``.
        total: number of steps.
        start: value after the warm-up.
        end: value at the last step.
        warmup: number of warm-up steps.
    """
    if step < warmup:
        return start * (step + 1) / warmup
    return half_cosine((step - warmup) / max(1, total - 1 - warmup), start, end)


def half_cosine(done: float, start: float, end: float) -> float:
    """Interpolate along half a cosine: ``start`` at ``done`` 0, ``end`` at 1 and above."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(1.0, done)))


def stairs(step: int, total: int, start: float, drops: Sequence[float], factor: float = 0.1) -> float:
    """Return ``start``, multiplied by ``factor`` once for each share of the total in ``drops`` that has passed."""
    return start * factor ** bisect_right([drop * total for drop in drops], step)


def by_epoch(epoch: int, epochs: int, start: float, *, warmup: float, drops: Sequence[float]) -> float:
    """Return the rate of an epoch in the published code of SpectralEarth, which uses the schedulers of torch.

    With ``drops``: MultiStepLR. Else: LinearLR from a third, then CosineAnnealingLR, whose half period is the number of
    all epochs, so that a warm-up leaves its end unreached.

    Args:
        epoch: 0 for the first.
        epochs: number of epochs.
        start: rate after the warm-up.
        warmup: share of the epochs used for the warm-up.
        drops: shares of the epochs at which the rate drops by a factor of ten.
    """
    if drops:
        return stairs(epoch, epochs, start, drops)
    warm = round(warmup * epochs)
    if epoch < warm:
        return start * (1 / 3 + 2 / 3 * epoch / warm)
    return half_cosine((epoch - warm) / epochs, start, 0.0)
