"""Heads without epochs: nearest neighbours and ridge regression on what a frozen encoder sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from spectralearth_build.evaluate.probes import LinearProbe, Ridge, places, presence
from spectralearth_build.evaluate.stream import Input, Stream
from spectralearth_build.evaluate.task_config import CHOOSES, Task
from spectralearth_build.evaluate.train import Answer, Learner
from spectralearth_build.pretrain.neighbours import Neighbours

PENALTIES = (0.01, 1.0, 100.0, 10_000.0)
"""Of ridge regression, tried on val."""
NEIGHBOURS = (1, 5, 20, 100)
"""That vote, tried on val."""
THRESHOLD = 0.5
"""Both score the presence of a class between 0 and 1."""


def solve(learner: Learner, train: Stream, val: Stream) -> tuple[Answer, dict[str, float], str]:
    """Find what answers best on val.

    Args:
        learner: its model has no head.
        train: what is known.
        val: what decides about the penalty, or the number of neighbours.

    Returns:
        The answer, its figures on val, and what was chosen, in words.
    """
    if learner.config.head == "ridge":
        ridge = _ridge(learner, train)
        tried = [(_linear(learner, ridge.solve(penalty)), f"penalty {penalty:g}") for penalty in PENALTIES]
    else:
        known, targets = _known(learner, train)
        tried = [
            (_votes(learner, known, targets, k), f"{k} neighbours") for k in NEIGHBOURS if k <= len(known)
        ]
    figures = [learner.judge(val, answer, THRESHOLD).figures() for answer, _ in tried]
    name = CHOOSES[learner.config.task]
    best = max(range(len(tried)), key=lambda i: np.nan_to_num(figures[i][name], nan=-1.0))
    return tried[best][0], figures[best], tried[best][1]


def _ridge(learner: Learner, train: Stream) -> Ridge:
    ridge = None
    for maps, truth in _samples(learner, train):
        if learner.config.task == "segmentation":
            features, targets, weights = places(maps, truth, learner.classes)
        else:
            features, targets, weights = maps, _targets(truth, learner.config.task, learner.classes), None
        ridge = ridge or Ridge(features.shape[1], learner.classes, learner.device)
        ridge.add(features, targets, weights)
    assert ridge is not None
    return ridge


def _known(learner: Learner, train: Stream) -> tuple[Tensor, Tensor]:
    vectors, targets = [], []
    for vector, truth in _samples(learner, train):
        vectors.append(vector)
        targets.append(_targets(truth, learner.config.task, learner.classes))
    return torch.cat(vectors), torch.cat(targets)


@torch.no_grad()
def _samples(learner: Learner, train: Stream) -> Iterator[tuple[Tensor, Tensor]]:
    """What the encoder sees, a batch at a time, with the truth."""
    for seen, truth in train.epoch(0):
        if len(truth):
            yield learner.see(seen)[-1], truth


def _targets(truth: Tensor, task: Task, classes: int) -> Tensor:
    return truth.float() if task == "multilabel" else presence(truth, classes)


def _linear(learner: Learner, probe: LinearProbe) -> Answer:
    size = learner.config.size

    def answer(seen: Input) -> Tensor:
        last = learner.see(seen)[-1]
        return probe.maps(last, (size, size)) if last.ndim == 4 else probe(last)

    return answer


def _votes(learner: Learner, known: Tensor, targets: Tensor, k: int) -> Answer:
    voters = Neighbours(known, targets, k)
    return lambda seen: voters(learner.see(seen)[-1])
