"""The classes that occur in train, val and test, and notes on their effect on the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.labels.classes import IGNORE, LabelClass

Names = Mapping[str, Sequence[str]]
"""The classes that occur, by part."""


def present(labels: tuple[Tensor, Tensor], classes: Sequence[LabelClass]) -> list[str]:
    """Return the names of the classes that occur.

    Args:
        labels: the truth of crops, and which of them have a label, as returned by `Part.every`.
        classes: all classes.
    """
    truth, there = labels
    truth = truth[there]
    if truth.dtype == torch.bool:
        found = truth.any(0)
    else:
        found = torch.bincount(truth.flatten().long(), minlength=IGNORE + 1)[: len(classes)] > 0
    return [each.name for each, occurs in zip(classes, found.tolist(), strict=True) if occurs]


def refuse(names: Names, config: EvaluateConfig, where: Path) -> None:
    """Refuse labels with which a model cannot be trained or scored.

    Raises:
        UsageError: train has fewer than two classes (multilabel: one), or shares no class with val or test.
    """
    if len(names["train"]) < (1 if config.task == "multilabel" else 2):
        have = f"only '{names['train'][0]}'" if names["train"] else "no classes"
        raise UsageError(
            f"With fraction={config.fraction:g}, the labels '{config.labels}' of train contain {have}.",
            where,
            "Raise --fraction, label more patches with `pair`, or choose another class table with --classes.",
        )
    for part in ("val", "test"):
        if not set(names[part]) & set(names["train"]):
            raise UsageError(
                f"No class of {part} occurs in train. The classes of train are: {', '.join(names['train'])}.",
                where,
                "Raise --fraction, or run `split --anew --stratify NAME=FILE` with the labels as a stratum.",
            )


def lacking(names: Names) -> list[str]:
    """Return notes on classes that are scored but do not occur in train."""
    return [
        f"{part}: {len(new)} of {len(names[part])} classes have no label in train: {', '.join(new)}."
        for part in ("val", "test")
        if (new := [name for name in names[part] if name not in names["train"]])
    ]


def missing(names: Names, classes: Sequence[LabelClass]) -> list[str]:
    """Return notes on classes that do not occur, and so count as 0 in multi-label macro figures."""
    return [
        f"{part}: {len(classes) - len(names[part])} of {len(classes)} classes do not occur; macro figures "
        "count them as 0."
        for part in ("val", "test")
        if len(names[part]) < len(classes)
    ]
