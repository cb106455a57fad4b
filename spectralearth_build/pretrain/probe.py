"""Probes of an encoder: k-NN and a linear probe on held-out labelled locations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.loader import Loader
from spectralearth_build.pretrain.neighbours import k_nearest
from spectralearth_build.pretrain.prefetch import place_number
from spectralearth_build.pretrain.spectra import Standardise

BATCH = 32
PENALTIES = tuple(10.0**power for power in range(-1, 6))
"""The penalties that `ridge` chooses from."""


class Probe:
    """The accuracy of an encoder on held-out labelled locations of a dataset.

    Half of the labelled locations, chosen by a hash of their names, are the known samples. The others are held out. One
    patch of each location is read at every call, so memory does not grow with their number.

    Args:
        dataset: folder or URL of the dataset.
        labels: Parquet file with columns location_id and label (integers from 0).
        standardise: standardisation of the encoder's input.
        device: device to run on.
        most: maximum number of labelled locations to use.

    Raises:
        UsageError: The file cannot be read, or it labels too few locations.
    """

    def __init__(
        self,
        dataset: str | Path,
        labels: Path,
        standardise: Standardise,
        device: torch.device,
        most: int = 2048,
    ) -> None:
        self.label_of = read_labels(labels)
        patches = open_dataset(dataset).query()
        chosen = patches[patches["location_id"].isin(list(self.label_of)[:most])]
        if chosen["location_id"].nunique() < 4:
            raise UsageError(
                "The dataset has fewer than four labelled locations.",
                labels,
                "Add labels for more locations to the file.",
            )
        self.loader = Loader(dataset, BATCH, dates=1, shuffle=False, patches=chosen)
        self.standardise, self.device = standardise, device

    def __call__(self, encoder: nn.Module) -> float:
        """Return the k-NN accuracy. The mode of the encoder (training or evaluation) is restored."""
        features, labels, held = self.features(encoder)
        return k_nearest(features[~held], labels[~held], features[held], labels[held])

    def features(self, encoder: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        """Return vectors float32 [location, dim], labels int64 [location], and which are held out, bool [location]."""
        training = encoder.training
        encoder.eval()
        vectors, names = [], []
        self.loader.set_epoch(0)
        with torch.inference_mode():
            for batch in self.loader:
                counts = batch["pixels"][:, 0].to(self.device)
                vectors.append(encoder(self.standardise(counts)).float())
                names += batch["location"]
        encoder.train(training)
        labels = torch.tensor([self.label_of[name] for name in names], device=self.device)
        held = torch.tensor([place_number(name) % 2 == 0 for name in names], device=self.device)
        return torch.cat(vectors), labels, held


def read_labels(path: Path) -> dict[str, int]:
    """Read labels by location_id.

    Raises:
        UsageError: The file is not Parquet, or lacks the columns location_id and label.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["location_id", "label"])
        return dict(zip(table["location_id"].to_pylist(), map(int, table["label"].to_pylist()), strict=True))
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(
            f"The table of labels cannot be read: {error}.",
            path,
            "Give a Parquet file with the columns location_id and label.",
        ) from error


def ridge(
    known: Tensor, labels: Tensor, asked: Tensor, truth: Tensor, penalties: Sequence[float] = PENALTIES
) -> float:
    """Return the accuracy of a linear probe, computed in closed form: ridge regression to one-hot labels.

    Features are centred, and all are scaled by the same number, so their relative weight stays as the encoder made it.
    The chosen penalty minimises the leave-one-out squared error, which needs no second fit.

    Args:
        known: features [n, dim].
        labels: int64 [n].
        asked: features [m, dim] of the held-out samples.
        truth: int64 [m].
        penalties: candidate penalties on the squared weights.
    """
    mean = known.double().mean(0)
    scale = (known.double() - mean).square().mean().sqrt().clamp(min=1e-12)
    x, y = ((each.double() - mean) / scale for each in (known, asked))
    classes = int(torch.max(labels.max(), truth.max())) + 1
    target = nn.functional.one_hot(labels, classes).double()
    centre = target.mean(0)
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    seen = left.T @ (target - centre)

    def error(penalty: float) -> float:
        kept = values.square() / (values.square() + penalty)
        # The leverage: how much a sample determines its own prediction.
        own = (left.square() * kept).sum(1) + 1 / len(x)
        off = (target - centre - left @ (kept[:, None] * seen)) / (1 - own).clamp(min=1e-9)[:, None]
        return float(off.square().mean())

    best = min(penalties, key=error)
    weights = right.T @ ((values / (values.square() + best))[:, None] * seen)
    return float(((y @ weights + centre).argmax(1) == truth).float().mean())
