"""MoCo-v2 (arXiv 2003.04297): contrastive learning against a long queue of negative keys."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import gathered
from spectralearth_build.pretrain.objectives.base import Objective, two_views
from spectralearth_build.pretrain.objectives.ema import follow, follower, reset
from spectralearth_build.pretrain.objectives.heads import mlp, normed_mlp
from spectralearth_build.pretrain.objectives.losses import info_nce
from spectralearth_build.pretrain.objectives.split_norm import split_norms
from spectralearth_build.pretrain.recipes import MoCoConfig
from spectralearth_build.pretrain.sending import sent


class MoCo(Objective):
    """MoCo-v2. If a location has two dates, these are the two views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim]. Its batch-normalisation layers are replaced by split ones.
        config: the recipe.
    """

    queue: Tensor
    queue_places: Tensor
    cursor: Tensor

    def __init__(self, encoder: Encoder, config: MoCoConfig | None = None) -> None:
        super().__init__(encoder)
        self.config = config = config or MoCoConfig()
        dim = encoder.dim
        self.head = (normed_mlp if config.official else mlp)(dim, config.hidden, config.dim)
        if config.batch_splits > 1 and not config.official:
            split_norms(encoder, config.batch_splits)
        self.key_encoder, self.key_head = follower(encoder), follower(self.head)
        if config.official:
            reset(self.key_encoder)
            reset(self.key_head)
        self.register_buffer("queue", normalize(torch.randn(config.queue, config.dim), dim=1))
        self.register_buffer("queue_places", torch.full((config.queue,), -1))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            first, second = (augment(image, self.config.views, draw) for image in two_views(series))
        return self.loss(first, second, places, draw)

    def loss(self, first: Tensor, second: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """Return the loss of two views, each [batch, band, y, x], and add the keys to the queue."""
        features = self.encoder(first)
        self.seen = features.detach()
        query = normalize(self.head(features), dim=1)
        key = self._keys(second, draw)
        masked = self.config.mask_location and not self.config.official
        same = places[:, None] == self.queue_places[None] if masked else None
        result = info_nce(query, key, self.queue.clone(), self.config.temperature, same)
        self._enqueue(gathered(key), gathered(places))
        return result

    @torch.no_grad()
    def _keys(self, images: Tensor, draw: torch.Generator) -> Tensor:
        """Compute normalised keys, on a shuffled batch so that its parts differ from those of the queries."""
        order = sent(torch.randperm(len(images), generator=draw), images.device)
        keys = normalize(self.key_head(self.key_encoder(images[order])), dim=1)
        return torch.empty_like(keys).index_copy_(0, order, keys)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor, places: Tensor) -> None:
        # Of more keys than the queue holds, the last stay. Written twice, a place would get either of two.
        keys, places = keys[-len(self.queue) :], places[-len(self.queue) :]
        at = (self.cursor + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue[at] = keys.to(self.queue.dtype)
        self.queue_places[at] = places
        self.cursor.copy_((self.cursor + len(keys)) % len(self.queue))

    def begin_step(self, done: float) -> None:
        """Update the key networks, if the published code is followed."""
        if self.config.official:
            self._move_keys()

    def after_step(self, done: float) -> None:
        """Update the key networks."""
        if not self.config.official:
            self._move_keys()

    def _move_keys(self) -> None:
        follow(self.key_encoder, self.encoder, self.config.momentum)
        follow(self.key_head, self.head, self.config.momentum)
