"""BYOL (arXiv 2006.07733): predict the projection of the other view by a moving average of the network."""

from __future__ import annotations

import torch
from torch import Tensor

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.base import PairObjective
from spectralearth_build.pretrain.objectives.ema import follow, follower
from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import opposed
from spectralearth_build.pretrain.rate_schedule import half_cosine
from spectralearth_build.pretrain.recipes import ByolConfig


class Byol(PairObjective):
    """BYOL. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: ByolConfig | None = None) -> None:
        config = config or ByolConfig()
        super().__init__(encoder, config.views)
        self.config = config
        self.head = normed_mlp(encoder.dim, config.hidden, config.dim, end="linear")
        self.predict = normed_mlp(config.dim, config.hidden, config.dim, end="linear")
        self.target, self.target_head = follower(encoder), follower(self.head)

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x]: the sum over both directions."""
        features = [self.encoder(view) for view in (first, second)]
        self.seen = features[0].detach()
        predicted = [self.predict(self.head(each)) for each in features]
        with torch.no_grad():
            targets = [self.target_head(self.target(view)) for view in (first, second)]
        return opposed(predicted[0], targets[1]) + opposed(predicted[1], targets[0])

    def after_step(self, done: float) -> None:
        """Update the target network, with a momentum that rises over the run."""
        momentum = half_cosine(done, self.config.momentum, 1.0)
        follow(self.target, self.encoder, momentum)
        follow(self.target_head, self.head, momentum)
