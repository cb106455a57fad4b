"""The loss of a task, and its figures from one global count."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from spectralearth_build.evaluate.boundary import boundary_loss
from spectralearth_build.evaluate.metrics import Confusion, MultiLabel
from spectralearth_build.evaluate.task_config import Task
from spectralearth_build.labels.classes import IGNORE


def loss_of(scores: Tensor, truth: Tensor, task: Task, boundary: float = 0.0) -> Tensor:
    """Return the loss of a batch, float32.

    Args:
        scores: logits, [batch, class] or [batch, class, y, x].
        truth: bool [batch, class], int64 [batch] or uint8 [batch, y, x] (255: no class).
        task: for multilabel, the loss is binary cross-entropy; else cross-entropy, for segmentation over labelled
            pixels.
        boundary: extra weight of pixels at class borders, see `boundary.boundary_weights`.
    """
    scores = scores.float()
    if task == "multilabel":
        return binary_cross_entropy_with_logits(scores, truth.float())
    if task == "single":
        return cross_entropy(scores, truth)
    if boundary > 0:
        return boundary_loss(scores, truth, boundary)
    total = cross_entropy(scores, truth.long(), ignore_index=IGNORE, reduction="sum")
    return total / (truth != IGNORE).sum().clamp(min=1)


class Scorer:
    """Figures of one part, accumulated batch by batch.

    Args:
        task: the task to score.
        classes: number of classes.
        device: device of scores and truth.
        threshold: for multilabel: a class is predicted if its score is above this; 0 for logits.
    """

    def __init__(self, task: Task, classes: int, device: torch.device, threshold: float = 0.0) -> None:
        self.task = task
        self._several = MultiLabel(classes, threshold) if task == "multilabel" else None
        self._one = Confusion(classes, device)

    def update(self, scores: Tensor, truth: Tensor) -> None:
        """Count a batch. The arguments are those of `loss_of`."""
        if self._several is not None:
            self._several.update(scores.float(), truth)
        else:
            self._one.update(scores.argmax(1), truth)

    def figures(self) -> dict[str, float]:
        """Return micro and macro figures; IoU only for segmentation."""
        found = (self._several or self._one).figures()
        return {name: value for name, value in found.items() if self._shown(name)}

    def per_class(self) -> list[dict[str, Any]]:
        """Return the same for each class; None if undefined."""
        return [
            {name: None if math.isnan(value) else value for name, value in row.items() if self._shown(name)}
            for row in (self._several or self._one).per_class()
        ]

    def _shown(self, name: str) -> bool:
        return self.task == "segmentation" or not name.startswith("iou")
