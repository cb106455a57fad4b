"""Micro and macro figures from one global count, accumulated on the device without synchronisation.

The name of a figure says which average it is. No figure is called mIoU, because published code used that name for the
micro IoU. The micro IoU is OA / (2 - OA) and says nothing about classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spectralearth_build.labels.classes import IGNORE


class Confusion:
    """One confusion matrix over all pixels (or samples) of a dataset, each of which has exactly one class.

    Args:
        classes: number of classes.
        device: device of predictions and truth.
        ignore: truth value to leave out, whatever was predicted.
    """

    def __init__(self, classes: int, device: torch.device | str = "cpu", ignore: int = IGNORE) -> None:
        self.classes, self.ignore = classes, ignore
        # Two extra cells count ignored and invalid values, so that no values have to be selected.
        self.cells = torch.zeros(classes**2 + 2, dtype=torch.int64, device=device)

    @torch.no_grad()
    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Count a batch. Never waits for the device.

        Args:
            prediction: class indices, integers of any type and shape.
            truth: class indices of the same shape.

        Raises:
            ValueError: The shapes differ.
        """
        if prediction.shape != truth.shape:
            raise ValueError(f"Prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} differ.")
        found, true = prediction.flatten().long(), truth.flatten().long()
        cell = true * self.classes + found
        wrong = (found < 0) | (found >= self.classes) | (true < 0) | (true >= self.classes)
        cell = cell.masked_fill(wrong, self.classes**2 + 1)
        cell = cell.masked_fill(true == self.ignore, self.classes**2)
        self.cells.scatter_add_(0, cell, torch.ones_like(cell))

    def matrix(self) -> Tensor:
        """Return the confusion matrix, int64 [truth, prediction], on the CPU.

        Raises:
            ValueError: Predictions or truth contained values that are neither a class nor ignored.
        """
        cells = self.cells.cpu()
        if cells[-1]:
            raise ValueError(f"{int(cells[-1])} pixels have a class index outside 0 to {self.classes - 1}.")
        return cells[:-2].view(self.classes, self.classes)

    def figures(self) -> dict[str, float]:
        """Return all figures, as defined by torchmetrics; NaN if nothing was counted.

        Returns:
            ``oa``, the overall accuracy; ``aa``, the mean recall over classes; ``iou_micro``, ``iou_macro``,
            ``f1_micro`` (equal to ``oa``) and ``f1_macro``. Macro is the mean over the classes that occur in truth or
            in predictions; one that is only predicted counts as 0.
        """
        counts = _counts(self.matrix())
        present = counts.sum(0) > 0
        out = {"oa": _recall(counts.sum(1)), "aa": _recall(counts)[present].mean()}
        for name, figure in (("iou", _iou), ("f1", _f1)):
            out[f"{name}_micro"] = figure(counts.sum(1))
            out[f"{name}_macro"] = figure(counts)[present].mean()
        return {name: float(value) for name, value in out.items()}

    def per_class(self) -> list[dict[str, float]]:
        """Return ``iou``, ``f1``, ``precision``, ``recall`` (NaN: 0 / 0) and ``support`` (pixels in truth) by class."""
        return _per_class(_counts(self.matrix()))


class MultiLabel:
    """Figures of multi-label samples, each of which has any number of classes.

    Args:
        classes: number of classes.
        threshold: a class is predicted if its score is above this; 0 suits logits, 0.5 probabilities.
    """

    def __init__(self, classes: int, threshold: float = 0.0) -> None:
        self.classes, self.threshold = classes, threshold
        self.scores: list[Tensor] = []
        self.truth: list[Tensor] = []

    @torch.no_grad()
    def update(self, scores: Tensor, truth: Tensor) -> None:
        """Keep scores, float [sample, class], and truth, bool or 0 and 1 of the same shape, on their device.

        Raises:
            ValueError: The shapes are wrong.
        """
        if scores.shape != truth.shape or scores.shape[1:] != (self.classes,):
            shapes = f"{tuple(scores.shape)} and truth {tuple(truth.shape)}"
            raise ValueError(
                f"Expected scores and truth of shape [sample, {self.classes}], got scores {shapes}."
            )
        self.scores.append(scores.detach())
        self.truth.append(truth > 0)

    def figures(self) -> dict[str, float]:
        """Return all figures, as defined by torchmetrics; NaN if there is no sample.

        Returns:
            ``f1_micro``, ``f1_macro``, ``map_micro`` (one ranking of all pairs of sample and class) and ``map_macro``.
            Macro is the mean over all classes; one without positives has average precision 0, and F1 0.
        """
        scores, truth = self._all()
        counts = self._counts(scores, truth)
        f1, precision = _f1(counts).nan_to_num(0.0), average_precision(scores, truth)
        out = {
            "f1_micro": _f1(counts.sum(1)).nan_to_num(0.0),
            "f1_macro": f1.mean(),
            "map_micro": average_precision(scores.reshape(-1, 1), truth.reshape(-1, 1))[0],
            "map_macro": precision.mean(),
        }
        return {name: float(value) if len(scores) else float("nan") for name, value in out.items()}

    def per_class(self) -> list[dict[str, float]]:
        """Return ``ap`` and the figures of `Confusion.per_class` for each class; ``support`` counts samples."""
        scores, truth = self._all()
        rows = _per_class(self._counts(scores, truth))
        precision = average_precision(scores, truth).tolist()
        return [{"ap": each, **row} for each, row in zip(precision, rows, strict=True)]

    def _all(self) -> tuple[Tensor, Tensor]:
        empty = torch.zeros(0, self.classes)
        return torch.cat(self.scores or [empty]), torch.cat(self.truth or [empty.bool()])

    def _counts(self, scores: Tensor, truth: Tensor) -> Tensor:
        found = scores > self.threshold
        parts = (found & truth, found & ~truth, ~found & truth)
        return torch.stack([part.sum(0) for part in parts]).double().cpu()


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Return the average precision of each class: the area under the precision-recall steps, without interpolation.

    Samples with equal scores form one step and share the precision after the last of them, so their order does not
    matter. This is the definition of scikit-learn and torchmetrics.

    Args:
        scores: float [sample, class].
        truth: bool [sample, class].

    Returns:
        float64 [class], 0 for classes without positives.
    """
    count = len(scores)
    if not count:
        return torch.zeros(scores.shape[1], dtype=torch.float64)
    ranked, order = scores.sort(0, descending=True)
    positive = truth.gather(0, order)
    hits = positive.cumsum(0).double()
    place = torch.arange(count, device=scores.device)[:, None].expand_as(ranked)
    last = torch.ones_like(positive)
    last[:-1] = ranked[1:] != ranked[:-1]
    end = place.masked_fill(~last, count).flip(0).cummin(0).values.flip(0)
    precision = hits.gather(0, end) / (end + 1)
    mean: Tensor = (precision * positive).sum(0) / hits[-1].clamp(min=1)
    return mean.cpu()


def _counts(matrix: Tensor) -> Tensor:
    """Return true positives, false positives and false negatives, float64 [3, class]."""
    hits = matrix.diagonal()
    return torch.stack([hits, matrix.sum(0) - hits, matrix.sum(1) - hits]).double()


def _recall(counts: Tensor) -> Tensor:
    """Return the recall from counts [3, ...]. A class that is only predicted has recall 0, as in torchmetrics."""
    hits, extra, missed = counts
    recall: Tensor = hits / (hits + missed)
    return recall.masked_fill((hits + missed == 0) & (extra > 0), 0.0)


def _iou(counts: Tensor) -> Tensor:
    iou: Tensor = counts[0] / counts.sum(0)
    return iou


def _f1(counts: Tensor) -> Tensor:
    f1: Tensor = 2 * counts[0] / (counts[0] + counts.sum(0))
    return f1


def _per_class(counts: Tensor) -> list[dict[str, float]]:
    hits, extra, missed = counts
    columns = {
        "iou": _iou(counts),
        "f1": _f1(counts),
        "precision": hits / (hits + extra),
        "recall": hits / (hits + missed),
        "support": hits + missed,
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]
