"""Batch normalisation over parts of a batch, so that shared statistics do not reveal the positive pair.

MoCo computes positives and queries in different processes, and so normalises them with different samples ("shuffling
BN"). On one device, splitting the batch has the same effect, as in the single-device version of MoCo's authors.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import batch_norm


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch normalisation in which every ``splits``-th sample shares the same statistics.

    Args:
        channels: number of channels.
        splits: number of parts; must divide the batch size.
    """

    def __init__(self, channels: int, splits: int) -> None:
        super().__init__(channels)
        self.splits = splits

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [batch, channel, y, x]. The running statistics are the mean over the parts."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        batch, channels, height, width = x.shape
        if batch % self.splits:
            raise ValueError(f"A batch of {batch} cannot be split into {self.splits} equal parts.")
        mean, var = (value.repeat(self.splits) for value in (self.running_mean, self.running_var))
        # With scale and offset in the same call, activations keep their precision under autocast.
        out = batch_norm(
            x.reshape(batch // self.splits, self.splits * channels, height, width),
            mean,
            var,
            self.weight.repeat(self.splits),
            self.bias.repeat(self.splits),
            True,
            0.1 if self.momentum is None else self.momentum,
            self.eps,
        ).view(batch, channels, height, width)
        self.running_mean.copy_(mean.view(self.splits, channels).mean(0))
        self.running_var.copy_(var.view(self.splits, channels).mean(0))
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        return out


def split_norms(network: nn.Module, splits: int) -> None:
    """Replace every batch-normalisation layer in ``network``, keeping its state."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            split = SplitBatchNorm(child.num_features, splits)
            split.load_state_dict(child.state_dict())
            setattr(network, name, split)
        else:
            split_norms(child, splits)
