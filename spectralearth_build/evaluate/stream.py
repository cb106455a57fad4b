"""Batches of an evaluation: crops read from the store, or cached features of a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor

from spectralearth_build.dataset.access import Dataset
from spectralearth_build.evaluate.crops import all_of, at_random, cut, flip, tiles
from spectralearth_build.evaluate.data import LabelledPart
from spectralearth_build.loader import Loader, order

Input = Tensor | list[Tensor]
"""Stored values int16 [batch, band, y, x], or the output of `heads.see`."""
Batch = tuple[Input, Tensor]
"""Input and truth, on the device."""


class Stream(Protocol):
    """An iterable source of labelled samples, by epoch."""

    def __len__(self) -> int:
        """Return the number of batches per epoch."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of an epoch, counted from 0. A batch is empty if none of its crops has a label."""


@dataclass(frozen=True)
class Reading:
    """How to read pixels."""

    dataset: Dataset
    batch: int
    """Number of crops per batch."""
    device: torch.device
    threads: int
    seed: int

    def loader(self, part: LabelledPart, crops: int, shuffle: bool) -> Loader:
        """Return a loader of as many whole patches as give a batch of crops."""
        size = min(len(part), patches_of(self.batch, crops))
        return self.of(part.patches, size, shuffle)

    def of(self, patches: pd.DataFrame, batch: int, shuffle: bool) -> Loader:
        """Whole patches."""
        return Loader(
            self.dataset,
            batch,
            shuffle=shuffle,
            seed=self.seed,
            threads=self.threads or None,
            patches=patches,
        )


class WholeCrops:
    """All whole, labelled crops of each patch, patch by patch.

    Args:
        part: the patches to read.
        reading: how to read pixels.
        shuffle: whether to shuffle the patches anew in each epoch.
    """

    def __init__(self, part: LabelledPart, reading: Reading, shuffle: bool = False) -> None:
        self.part, self.device = part, reading.device
        self.loader = reading.loader(part, len(tiles(part.size)), shuffle)

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, number: int) -> Iterator[Batch]:
        """See `Stream.epoch`."""
        self.loader.set_epoch(number)
        for batch in self.loader:
            truth, there = self.part.every(self.part.positions(batch["index"]))
            counts = all_of(batch["pixels"].to(self.device), self.part.size)
            yield only(counts, there), only(truth, there).to(self.device)


class RandomCrops:
    """One random, randomly flipped crop of each patch, in random order. Each epoch draws new crops.

    Args:
        part: the patches to read.
        reading: how to read pixels. Its seed determines all random choices.
    """

    def __init__(self, part: LabelledPart, reading: Reading) -> None:
        self.part, self.device, self.seed = part, reading.device, reading.seed
        self.loader = reading.loader(part, 1, shuffle=True)

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, number: int) -> Iterator[Batch]:
        """See `Stream.epoch`."""
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        self.loader.set_epoch(number)
        for batch in self.loader:
            at = self.part.positions(batch["index"])
            corners = at_random(len(at), self.part.size, draw)
            flips = torch.rand(len(at), 2, generator=draw) < 0.5
            truth, there = self.part.crop(at, corners)
            counts = cut(batch["pixels"], corners, self.part.size).to(self.device)
            counts, truth, flips = (only(each, there) for each in (counts, truth, flips))
            truth = flip(truth, flips) if self.part.mapped else truth
            yield flip(counts, flips.to(self.device)), truth.to(self.device)


class Kept:
    """The batches of `WholeCrops`, with cached features of a frozen encoder instead of pixels.

    Args:
        part: the patches of the features.
        maps: features, [patch, crop, ...] each, on the device.
        batch: number of crops per batch.
        seed: seed of the order; None: always the order of the dataset.
    """

    def __init__(self, part: LabelledPart, maps: list[Tensor], batch: int, seed: int | None = None) -> None:
        self.maps, self.seed, self.patches = maps, seed, len(part)
        self.crops = maps[0].shape[1]
        truth, there = part.every(torch.arange(len(part)))
        device = maps[0].device
        self.truth, self.there = truth.to(device), there.to(device)
        self.step = patches_of(batch, self.crops)

    def __len__(self) -> int:
        return -(-self.patches // self.step)

    def epoch(self, number: int) -> Iterator[Batch]:
        """See `Stream.epoch`."""
        if self.seed is None:
            at = torch.arange(self.patches)
        else:
            at = torch.from_numpy(order.permutation(self.patches, self.seed, number))
        for some in torch.split(at.to(self.truth.device), self.step):
            crops = (some[:, None] * self.crops + torch.arange(self.crops, device=some.device)).flatten()
            crops = crops[self.there[crops]]
            yield [each.flatten(0, 1)[crops] for each in self.maps], self.truth[crops]


def only(values: Tensor, there: Tensor) -> Tensor:
    """Select along the first axis where ``there`` is true, without a copy if all are."""
    return values if there.all() else values[there.to(values.device)]


def patches_of(batch: int, crops: int) -> int:
    """Return the number of patches that give a batch of whole crops."""
    return max(1, batch // crops)
