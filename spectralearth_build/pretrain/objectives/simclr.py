"""SimCLR (arXiv 2002.05709): contrastive learning between two views of each location in a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import gathered, gathered_with_gradient, world
from spectralearth_build.pretrain.objectives.base import Objective, two_views
from spectralearth_build.pretrain.objectives.heads import mlp
from spectralearth_build.pretrain.objectives.losses import nt_xent
from spectralearth_build.pretrain.recipes import SimClrConfig


class SimClr(Objective):
    """SimCLR. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: SimClrConfig | None = None) -> None:
        super().__init__(encoder)
        self.config = config = config or SimClrConfig()
        dim = encoder.dim
        self.head = mlp(dim, config.hidden, config.dim) if config.hidden else nn.Identity()

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            first, second = (augment(image, self.config.views, draw) for image in two_views(series))
        return self.loss(first, second, places)

    def loss(self, first: Tensor, second: Tensor, places: Tensor) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x]."""
        features = [self.encoder(view) for view in (first, second)]
        self.seen = features[0].detach()
        projected = [gathered_with_gradient(self.head(each)) for each in features]
        where = gathered(places) if self.config.mask_location else None
        return nt_xent(projected[0], projected[1], self.config.temperature, where, *world())
