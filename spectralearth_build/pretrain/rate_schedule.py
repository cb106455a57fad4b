"""Schedules, per step and over the total number of steps: each reaches its end at the last step, not before."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence


def cosine(step: int, total: int, start: float, end: float, warmup: int = 0) -> float:
    """From ``start`` to ``end`` along half a cosine; before that, linearly from 0 in ``warmup`` steps.

    Args:
        step: 0 for the first step, ``total - 1`` for the last one, which has ``end``.
        total: number of steps.
        start: value after the warm-up.
        end: value of the last step.
        warmup: steps of warm-up.
    """
    if step < warmup:
        return start * (step + 1) / warmup
    return half_cosine((step - warmup) / max(1, total - 1 - warmup), start, end)


def half_cosine(done: float, start: float, end: float) -> float:
    """From ``start`` at 0 to ``end`` at 1 and behind it."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(1.0, done)))


def stairs(step: int, total: int, start: float, drops: Sequence[float], factor: float = 0.1) -> float:
    """``start``, times ``factor`` at each of the shares ``drops`` of the total."""
    return start * factor ** bisect_right([drop * total for drop in drops], step)
