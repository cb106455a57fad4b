"""Barlow Twins (arXiv 2103.03230): the correlation of the projections of two views should be the identity."""

from __future__ import annotations

from torch import Tensor

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import gathered_with_gradient
from spectralearth_build.pretrain.objectives.base import PairObjective
from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import barlow
from spectralearth_build.pretrain.recipes import BarlowConfig


class BarlowTwins(PairObjective):
    """Barlow Twins. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: BarlowConfig | None = None) -> None:
        config = config or BarlowConfig()
        super().__init__(encoder, config.views)
        self.config = config
        self.head = normed_mlp(encoder.dim, config.dim, config.dim, config.dim, end="linear")

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x], over the batches of all processes."""
        features = [self.encoder(view) for view in (first, second)]
        self.seen = features[0].detach()
        one, two = (gathered_with_gradient(self.head(each)) for each in features)
        return barlow(one, two, self.config.off_diagonal)
