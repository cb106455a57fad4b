"""VICReg (arXiv 2105.04906): equal projections of two views, each dimension spread, no two correlated."""

from __future__ import annotations

from torch import Tensor

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import gathered_with_gradient
from spectralearth_build.pretrain.objectives.base import PairObjective
from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import vicreg
from spectralearth_build.pretrain.recipes import VicRegConfig


class VicReg(PairObjective):
    """VICReg. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: VicRegConfig | None = None) -> None:
        config = config or VicRegConfig()
        super().__init__(encoder, config.views)
        self.config = config
        self.head = normed_mlp(encoder.dim, config.dim, config.dim, config.dim, end="linear")

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x], over the batches of all processes."""
        config = self.config
        features = [self.encoder(view) for view in (first, second)]
        self.seen = features[0].detach()
        one, two = (gathered_with_gradient(self.head(each)) for each in features)
        return vicreg(one, two, config.invariance, config.variance, config.covariance)
