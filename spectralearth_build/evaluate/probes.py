"""Linear probes without epochs: ridge regression in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from spectralearth_build.evaluate.heads.layers import resize
from spectralearth_build.labels.classes import IGNORE

ADDED_AT_ONCE = 1 << 16
"""Number of float64 feature rows in memory at a time."""


@dataclass(frozen=True)
class LinearProbe:
    """A solved ridge regression."""

    weights: Tensor
    """float64 [dim, class], for features that are not standardised."""
    bias: Tensor
    """float64 [class]."""

    def __call__(self, features: Tensor) -> Tensor:
        """Map features [..., dim] to scores float64 [..., class]: about 1 for present classes, 0 for others."""
        return features.double() @ self.weights + self.bias

    def maps(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Map feature maps [batch, dim, y, x] to upsampled scores float32 [batch, class, *size]."""
        scores = torch.einsum("bdyx,dc->bcyx", features.float(), self.weights.float())
        return resize(scores + self.bias.float()[:, None, None], size)


class Ridge:
    """Ridge regression to the shares (or presence) of classes. Any number of samples can be added in batches.

    Only sums are kept, dim x (dim + classes) numbers, so all pixels of a dataset can be used. Features are standardised
    with their own mean and standard deviation, so the penalty means the same for all encoders.

    Args:
        dim: length of a feature vector.
        classes: number of classes.
        device: device of the features; it must support float64.
    """

    def __init__(self, dim: int, classes: int, device: torch.device | str = "cpu") -> None:
        self.dim = dim
        # Sums of [1, feature, target], relative to the mean of the first batch, so that large means cost no
        # precision.
        self.origin: Tensor | None = None
        size = 1 + dim
        self.left = torch.zeros(size, size, dtype=torch.float64, device=device)
        self.right = torch.zeros(size, classes, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, features: Tensor, targets: Tensor, weights: Tensor | None = None) -> None:
        """Add samples. Never waits for the device.

        Args:
            features: [sample, dim].
            targets: [sample, class], 0 to 1.
            weights: [sample], such as the labelled share of a map cell; 0 leaves out the sample. None: all 1.
        """
        if self.origin is None:
            self.origin = features[:ADDED_AT_ONCE].double().mean(0)
        if weights is None:
            weights = torch.ones_like(features[:, 0])
        columns = [torch.split(each, ADDED_AT_ONCE) for each in (features, targets, weights)]
        for x, y, weight in zip(*columns, strict=True):
            row = pad(x.double() - self.origin, (1, 0), value=1.0)
            heavy = row * weight.double()[:, None]
            self.left += heavy.T @ row
            self.right += heavy.T @ y.double()

    def solve(self, penalty: float = 1.0) -> LinearProbe:
        """Minimise the sum of squared errors + penalty x squared weights (of standardised features).

        Raises:
            ValueError: There are fewer than two samples.
        """
        count = float(self.left[0, 0])
        if self.origin is None or count <= 1:
            raise ValueError("A ridge regression needs at least two samples.")
        mean, centre = self.left[0, 1:] / count, self.right[0] / count
        gram = self.left[1:, 1:] - count * mean.outer(mean)
        std = (gram.diagonal() / (count - 1)).clamp(min=0).sqrt().clamp(min=1e-6)
        moment = (self.right[1:] - count * mean.outer(centre)) / std[:, None]
        gram = gram / std.outer(std)
        gram.diagonal().add_(penalty)
        weights = torch.linalg.solve(gram, moment) / std[:, None]
        return LinearProbe(weights, centre - (mean + self.origin) @ weights)


def presence(labels: Tensor, classes: int) -> Tensor:
    """Return one-hot targets of single labels: int64 [sample] to float32 [sample, class]."""
    return one_hot(labels.long(), classes).float()


def places(
    features: Tensor, truth: Tensor, classes: int, ignore: int = IGNORE
) -> tuple[Tensor, Tensor, Tensor]:
    """Return samples for `Ridge.add` from feature maps: each map cell, with the class shares of its pixels.

    Args:
        features: [batch, dim, y, x].
        truth: integers [batch, lines, columns]; lines and columns are multiples of y and x.
        classes: number of classes.
        ignore: value of pixels without a class.

    Returns:
        Features [cell, dim], class shares of the labelled pixels float32 [cell, class], and the labelled share float32
        [cell].
    """
    batch, dim, height, width = features.shape
    tall, wide = truth.shape[1] // height, truth.shape[2] // width
    below = truth.view(batch, height, tall, width, wide).transpose(2, 3).reshape(-1, tall * wide).long()
    counts = torch.zeros(len(below), classes + 1, device=truth.device)
    counts.scatter_add_(
        1, below.masked_fill(below == ignore, classes), torch.ones_like(below, dtype=torch.float32)
    )
    counts = counts[:, :classes]
    labelled = counts.sum(1)
    shares = counts / labelled.clamp(min=1)[:, None]
    return features.permute(0, 2, 3, 1).reshape(-1, dim), shares, labelled / (tall * wide)
