"""SimSiam (arXiv 2011.10566): predict the projection of the other view, through which no gradient flows."""

from __future__ import annotations

from torch import Tensor

from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.base import PairObjective
from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import opposed
from spectralearth_build.pretrain.recipes import SimSiamConfig


class SimSiam(PairObjective):
    """SimSiam. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: SimSiamConfig | None = None) -> None:
        config = config or SimSiamConfig()
        super().__init__(encoder, config.views)
        self.config = config
        self.head = normed_mlp(encoder.dim, config.dim, config.dim, config.dim, end="fixed")
        self.predict = normed_mlp(config.dim, config.bottleneck, config.dim, end="linear")

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x]: the mean of -cos over both directions."""
        features = [self.encoder(view) for view in (first, second)]
        self.seen = features[0].detach()
        projected = [self.head(each) for each in features]
        one, two = (self.predict(each) for each in projected)
        both = opposed(one, projected[1].detach()) + opposed(two, projected[0].detach())
        return both / 4 - 1
