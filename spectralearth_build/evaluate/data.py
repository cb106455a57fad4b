"""The data of an evaluation: the labelled patches of train, val and test, with the truth of any crop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.classes_present import lacking, missing, present, refuse
from spectralearth_build.evaluate.crops import all_of, cut
from spectralearth_build.evaluate.fractions import chosen
from spectralearth_build.evaluate.task_config import EvaluateConfig, Task
from spectralearth_build.labels import class_counts as summary
from spectralearth_build.labels.classes import IGNORE, LabelClass
from spectralearth_build.labels.read import LabelSet, open_labels
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.store.manifest import Manifest

PARTS = ("train", "val", "test")
Summary = Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]]
"""Maps class maps [crop, y, x] to labels, bool [crop, class] or int64 [crop]."""


@dataclass(frozen=True)
class LabelledPart:
    """The labelled patches of one part of the dataset, and their truth."""

    patches: pd.DataFrame
    """Rows of ``dataset.patches``, in its order."""
    size: int
    """Edge of the crops in pixels."""
    whole: Tensor | None
    """Labels of whole patches: bool [patch, class] (multilabel) or int64 [patch] (single); None if maps are needed."""
    maps: Tensor | None
    """Class of each pixel, uint8 [patch, 128, 128]; 255: none."""
    summarise: Summary | None
    """For classification of crops: computes labels from class maps. None: the maps themselves are the truth."""

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def mapped(self) -> bool:
        """Return whether the truth of a crop is a map."""
        return self.maps is not None and self.summarise is None

    def every(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Return the truth of all whole crops of patches, patch by patch.

        Args:
            at: int64 [n] positions in ``patches``.

        Returns:
            bool [crop, class], int64 [crop] or uint8 [crop, size, size]; and which crops have a label, bool [crop].
        """
        if self.maps is None:
            return self._whole(at)
        return self._truth(all_of(self.maps[at], self.size))

    def crop(self, at: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for one crop of each patch, at ``corners`` int64 [n, 2]."""
        if self.maps is None:
            return self._whole(at)
        return self._truth(cut(self.maps[at], corners, self.size))

    def positions(self, index: Tensor) -> Tensor:
        """Return the positions of patches from the ``index`` of `Loader`."""
        return torch.from_numpy(self.patches.index.get_indexer(index.numpy()))

    def _whole(self, at: Tensor) -> tuple[Tensor, Tensor]:
        assert self.whole is not None
        return self.whole[at], torch.ones(len(at), dtype=torch.bool)

    def _truth(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        labelled = (maps != IGNORE).flatten(1).any(1)
        if self.summarise is None:
            return maps, labelled
        return torch.from_numpy(self.summarise(maps.numpy())), labelled


@dataclass(frozen=True)
class LabelledDataset:
    """A dataset with labels, split into parts."""

    dataset: Dataset
    plan: str
    """Identity of its plan."""
    classes: tuple[LabelClass, ...]
    parts: dict[str, LabelledPart]
    samples: dict[str, int]
    """See `Result.samples`."""
    notes: list[str]
    """See `Result.notes`."""


def labelled(dataset: str | Path, config: EvaluateConfig) -> LabelledDataset:
    """Open a dataset and its labels, and select the requested fraction of the training labels.

    Raises:
        UsageError: There are no splits, no such labels, or too few labels for training or scoring.
    """
    opened = open_dataset(dataset)
    labels = open_labels(opened, config.labels, config.nomenclature or None)
    if labels.kind != "categorical":
        raise UsageError(
            f"The labels '{config.labels}' are {labels.kind}, not classes.",
            opened.path,
            "Give the name of class labels with --labels.",
        )
    # With another class table than at pairing, a label map may contain no class.
    known = set(labels.table.loc[labels.table["majority"] >= 0, "patch_id"])
    rows, samples = {}, {"unlabelled": 0}
    for name in PARTS:
        patches = opened.query(split=name)
        rows[name] = patches[patches["patch_id"].isin(known)]
        samples["unlabelled"] += len(patches) - len(rows[name])
        if rows[name].empty:
            raise UsageError(
                f"None of the {len(patches)} patches of {name} has a label of '{config.labels}'.",
                opened.path,
                "Run `pair` to label more patches, or `split --anew` with a larger share.",
            )
    samples["train_all"] = len(rows["train"])
    rows["train"] = share_of(rows["train"], labels, config)
    parts = {name: _part(patches, labels, config) for name, patches in rows.items()}
    samples |= {name: len(part) for name, part in parts.items()}
    samples["locations"] = rows["train"]["location_id"].nunique()
    found = {
        name: present(part.every(torch.arange(len(part))), labels.classes) for name, part in parts.items()
    }
    refuse(found, config, opened.path)
    notes = lacking(found) + (missing(found, labels.classes) if config.task == "multilabel" else [])
    plan = Manifest.read(opened.path).plan
    return LabelledDataset(opened, plan, classes=labels.classes, parts=parts, samples=samples, notes=notes)


def share_of(patches: pd.DataFrame, labels: LabelSet, config: EvaluateConfig) -> pd.DataFrame:
    """Return the patches of the locations whose labels are used."""
    if config.fraction == 1:
        return patches
    rows = patches["store_row"].tolist()
    if config.task == "single":
        found: Iterable[set[int]] = ({int(label)} for label in labels.majority(rows))
    else:
        found = (set(np.flatnonzero(each).tolist()) for each in labels.multi_hot(rows))
    classes: dict[str, set[int]] = {}
    for place, here in zip(patches["location_id"], found, strict=True):
        classes.setdefault(str(place), set()).update(here)
    return patches[patches["location_id"].isin(chosen(classes, config.fraction, config.seed))]


def _part(patches: pd.DataFrame, labels: LabelSet, config: EvaluateConfig) -> LabelledPart:
    rows = patches["store_row"].tolist()
    if config.task == "segmentation" or config.size < WINDOW:
        maps = torch.from_numpy(labels.maps(rows))
        return LabelledPart(patches, config.size, None, maps, _summary(labels, config.task))
    truth = labels.multi_hot(rows) if config.task == "multilabel" else labels.majority(rows)
    return LabelledPart(patches, config.size, torch.from_numpy(truth), None, None)


def _summary(labels: LabelSet, task: Task) -> Summary | None:
    classes = len(labels.classes)
    if task == "segmentation":
        return None
    if task == "multilabel":
        return lambda maps: summary.multi_hot(maps, classes, labels.definition.threshold)
    return lambda maps: summary.majority(maps, classes)
