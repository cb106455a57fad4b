"""Which classes occur in train, val and test, and what that means for the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.labels.classes import IGNORE, LabelClass

Names = Mapping[str, Sequence[str]]
"""Classes that occur, by part."""


def present(labels: tuple[Tensor, Tensor], classes: Sequence[LabelClass]) -> list[str]:
    """Names of the classes that occur.

    Args:
        labels: truth of crops and which of them have a label, as of `Part.every`.
        classes: all of them.
    """
    truth, there = labels
    truth = truth[there]
    if truth.dtype == torch.bool:
        found = truth.any(0)
    else:
        found = torch.bincount(truth.flatten().long(), minlength=IGNORE + 1)[: len(classes)] > 0
    return [each.name for each, occurs in zip(classes, found.tolist(), strict=True) if occurs]


def refuse(names: Names, config: EvaluateConfig, where: Path) -> None:
    """Refuse labels from which nothing can be learned, or by which nothing can be judged.

    Raises:
        UsageError: train has fewer than two classes (multilabel: one), or none of those of val or of test.
    """
    if len(names["train"]) < (1 if config.task == "multilabel" else 2):
        have = f"only '{names['train'][0]}'" if names["train"] else "no class at all"
        raise UsageError(
            f"The labels '{config.labels}' of train hold {have} at a share of {config.fraction:g}.",
            where,
            "Raise --fraction, pair more patches, or choose another nomenclature.",
        )
    for part in ("val", "test"):
        if not set(names[part]) & set(names["train"]):
            raise UsageError(
                f"No class of {part} occurs in train, which has {', '.join(names['train'])}.",
                where,
                "Raise --fraction, or run `split --anew --stratify NAME=FILE` with the labels as a stratum.",
            )


def lacking(names: Names) -> list[str]:
    """Notes on classes that are judged without having been learned."""
    return [
        f"{part}: {len(new)} of {len(names[part])} classes have no label in train: {', '.join(new)}."
        for part in ("val", "test")
        if (new := [name for name in names[part] if name not in names["train"]])
    ]


def missing(names: Names, classes: Sequence[LabelClass]) -> list[str]:
    """Notes on classes that count 0 in macro figures of several labels because they do not occur."""
    return [
        f"{part}: {len(classes) - len(names[part])} of {len(classes)} classes do not occur; macro figures count them 0."
        for part in ("val", "test")
        if len(names[part]) < len(classes)
    ]
