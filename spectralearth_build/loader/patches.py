"""`PatchDataset`: a map-style dataset for the DataLoader of torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset as TorchDataset

from spectralearth_build.dataset.access import Dataset
from spectralearth_build.loader.samples import Query, Samples
from spectralearth_build.loader.series import Rule


class PatchDataset(TorchDataset[dict[str, Any]]):
    """A map-style dataset for ``torch.utils.data.DataLoader``, with any sampler and any number of worker processes.

    A sample is a dict: ``pixels``, int16 tensor [band, y, x], or [date, band, y, x] with ``dates``; ``row``, ``index``
    and ``acquired``, int64, as in `Loader`; ``location``, a location_id. Pickling stores only the arguments, so workers
    can be spawned. `Loader` gives the same samples several times faster, since it passes nothing between processes.

    Args:
        dataset: a dataset, or its folder or URL.
        dates: None: each patch is a sample. k: each location is a sample, with k of its dates.
        rule: how to choose dates, as for `Loader`.
        bands: indices of the bands to return; None: all.
        seed: random seed of the choice of dates.
        patches: a selection returned by `Dataset.query`, instead of conditions.
        **query: conditions of `Dataset.query`.

    Raises:
        UsageError: An argument is invalid, or no patch meets the conditions.

    Examples:
        >>> from torch.utils.data import DataLoader
        >>> batches = DataLoader(PatchDataset(folder, max_cloud=0.05), batch_size=4, shuffle=True)
        >>> next(iter(batches))["pixels"].shape
        torch.Size([4, 202, 128, 128])
    """

    def __init__(
        self,
        dataset: Dataset | str | Path,
        dates: int | None = None,
        rule: Rule = "random",
        bands: Sequence[int] | None = None,
        seed: int = 0,
        patches: pd.DataFrame | None = None,
        **query: Unpack[Query],
    ) -> None:
        self.samples = Samples(dataset, dates, rule=rule, bands=bands, seed=seed, patches=patches, **query)
        self._epoch = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, sample: int) -> dict[str, Any]:
        """Read a sample.

        Raises:
            IndexError: The index is out of range.
            DamagedError: A patch is missing or damaged. The message names it.
        """
        if not -len(self) <= sample < len(self):
            raise IndexError(f"Sample {sample} is out of range: there are {len(self)}.")
        chosen = self.samples.chosen(sample % len(self), self._epoch)
        pixels = np.empty(self.samples.shape, np.int16)
        self.samples.read(chosen, pixels)
        labels = self.samples.labels([chosen])
        tensors = {name: torch.from_numpy(labels[name])[0] for name in ("row", "index", "acquired")}
        whole = torch.from_numpy(pixels)
        return {
            "pixels": whole if self.samples.dates else whole[0],
            **tensors,
            "location": labels["location"][0],
        }

    def set_epoch(self, epoch: int) -> None:
        """Choose the dates of another epoch. Call it before workers start."""
        self._epoch = epoch
