"""`PatchDataset`: a map-style dataset for those who want torch's own DataLoader."""

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
    """Samples by number, for ``torch.utils.data.DataLoader`` with any sampler, in any number of worker processes.

    A sample is a dict: ``pixels``, int16 tensor [band, y, x], or [date, band, y, x] with ``dates``; ``row``, ``index``
    and ``acquired``, int64, as in `Loader`; ``location``, a location_id. It is pickled as its arguments, so workers
    may be spawned. `Loader` gives the same several times faster, since nothing passes between processes.

    Args:
        dataset: a dataset, its folder, or its URL.
        dates: None: each patch is a sample. k: each location is one, with k of its dates.
        rule: how dates are chosen, as for `Loader`.
        bands: indices of the bands to give; None: all.
        seed: of the choice of dates.
        patches: a selection made by `Dataset.query`, instead of conditions.
        **query: conditions of `Dataset.query`.

    Raises:
        UsageError: an argument makes no sense, or no patch meets the conditions.

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
            IndexError: there is no sample of that number.
            DamagedError: a patch is gone or damaged; the message names it.
        """
        if not -len(self) <= sample < len(self):
            raise IndexError(f"Sample {sample} of {len(self)}.")
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
        """Choose the dates of another epoch; call it before workers start."""
        self._epoch = epoch
