"""SwAV (arXiv 2006.09882): predict the cluster of one view from the other views."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import gathered, world
from spectralearth_build.pretrain.objectives.base import Objective, two_views
from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import dino, sinkhorn
from spectralearth_build.pretrain.recipes import SwavConfig


class Swav(Objective):
    """SwAV. If a location has two dates, these are the two global views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    def __init__(self, encoder: Encoder, config: SwavConfig | None = None) -> None:
        super().__init__(encoder)
        self.config = config = config or SwavConfig()
        self.head = normed_mlp(encoder.dim, config.hidden, config.dim, end="linear")
        self.prototypes = nn.Parameter(torch.empty(config.prototypes, config.dim))
        nn.init.normal_(self.prototypes)

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            dates = two_views(series)
            views = [augment(image, self.config.views, draw) for image in dates]
            local = [augment(dates[i % 2], self.config.local, draw) for i in range(self.config.local_crops)]
        return self.loss(views, local)

    def loss(self, views: list[Tensor], local: list[Tensor]) -> Tensor:
        """Return the loss of global and local views, each [batch, band, y, x]."""
        features = [self.encoder(view) for view in (*views, *local)]
        self.seen = features[0].detach()
        scores = [self._scores(each) for each in features]
        targets = [self._clusters(each.detach()) for each in scores[: len(views)]]
        return dino(scores, targets, self.config.temperature)

    def _scores(self, features: Tensor) -> Tensor:
        """Return the cosines to the prototypes, [batch, prototypes]."""
        return linear(normalize(self.head(features), dim=-1), normalize(self.prototypes, dim=-1))

    def _clusters(self, scores: Tensor) -> Tensor:
        """Assign the samples of all processes to clusters, and return the assignment of this one's."""
        begin = world()[0] * len(scores)
        found = sinkhorn(gathered(scores), self.config.epsilon, self.config.iterations)
        return found[begin : begin + len(scores)]

    def before_step(self, done: float) -> None:
        """Freeze the prototypes during the first steps, while features are still random."""
        if done < self.config.freeze_prototypes:
            self.prototypes.grad = None
