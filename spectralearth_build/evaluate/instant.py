"""Heads without epochs: k-NN and ridge regression on features of a frozen encoder."""

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
"""Penalties of ridge regression to try on val."""
NEIGHBOURS = (1, 5, 20, 100)
"""Numbers of neighbours to try on val."""
THRESHOLD = 0.5
"""Score above which a class is predicted; both heads score presence between 0 and 1."""


def solve(learner: Learner, train: Stream, val: Stream) -> tuple[Answer, dict[str, float], str]:
    """Find the predictor that is best on val.

    Args:
        learner: a learner whose model has no head.
        train: the labelled training samples.
        val: the samples that choose the penalty or the number of neighbours.

    Returns:
        The predictor, its figures on val, and a description of the choice.
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
    """Yield encoder features and truth, batch by batch."""
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
