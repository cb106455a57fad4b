"""DINO (arXiv 2104.14294): the student predicts the centred, sharpened output of its own moving average."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softmax

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.objectives.across import averaged
from spectralearth_build.pretrain.objectives.base import Objective, two_views
from spectralearth_build.pretrain.objectives.ema import follow, follower
from spectralearth_build.pretrain.objectives.heads import DinoHead
from spectralearth_build.pretrain.objectives.losses import dino
from spectralearth_build.pretrain.rate_schedule import half_cosine
from spectralearth_build.pretrain.recipes import DinoConfig


class Dino(Objective):
    """DINO. If a location has two dates, these are the two global views.

    Args:
        encoder: maps [batch, band, y, x] to [batch, dim].
        config: the recipe.
    """

    centre: Tensor
    entropy: Tensor

    def __init__(self, encoder: Encoder, config: DinoConfig | None = None) -> None:
        super().__init__(encoder)
        self.config = config = config or DinoConfig()
        dim = encoder.dim
        self.head = DinoHead(dim, config.hidden, config.bottleneck, config.prototypes)
        self.teacher, self.teacher_head = follower(encoder), follower(self.head)
        self.register_buffer("centre", torch.zeros(1, config.prototypes))
        self.register_buffer("entropy", torch.zeros(()), persistent=False)

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`."""
        with torch.no_grad():
            dates = two_views(series)
            views = [augment(image, self.config.views, draw) for image in dates]
            local = [augment(dates[i % 2], self.config.local, draw) for i in range(self.config.local_crops)]
        return self.loss(views, local)

    def loss(self, views: list[Tensor], local: list[Tensor]) -> Tensor:
        """Return the loss of global and local views, each [batch, band, y, x], and update the centre."""
        features = [self.encoder(view) for view in (*views, *local)]
        self.seen = features[0].detach()
        targets = self._targets(views)
        return dino([self.head(each) for each in features], targets, self.config.student_temperature)

    @torch.no_grad()
    def _targets(self, views: list[Tensor]) -> list[Tensor]:
        logits = [self.teacher_head(self.teacher(view)).float() for view in views]
        targets = [softmax((each - self.centre) / self.config.teacher_temperature, dim=-1) for each in logits]
        centre = averaged(torch.cat(logits).mean(0, keepdim=True))
        self.centre.lerp_(centre, 1 - self.config.centre_momentum)
        self.entropy.copy_(-torch.xlogy(targets[0], targets[0]).sum(1).mean())
        return targets

    def before_step(self, done: float) -> None:
        """Freeze the prototypes during the first steps, while features are still random."""
        if done < self.config.freeze_prototypes:
            self.head.prototypes.grad = None

    def begin_step(self, done: float) -> None:
        """Update the teacher, if the published code is followed."""
        if self.config.official:
            self._move_teacher(done)

    def after_step(self, done: float) -> None:
        """Update the teacher."""
        if not self.config.official:
            self._move_teacher(done)

    def _move_teacher(self, done: float) -> None:
        momentum = self.momentum_at(done)
        follow(self.teacher, self.encoder, momentum)
        follow(self.teacher_head, self.head, momentum)

    @property
    def exported(self) -> Encoder:
        """The network that becomes the encoder."""
        return self.teacher if self.config.export == "teacher" else self.encoder

    def momentum_at(self, done: float) -> float:
        """Return the momentum of the teacher after the share ``done`` of all steps."""
        stops = 0.09 if self.config.official else 1.0
        return half_cosine(done / stops, self.config.momentum, 1.0)

    def monitors(self) -> dict[str, Tensor]:
        """Return the entropy of the teacher's distributions in nats. log(prototypes) or 0 means collapse."""
        return {"teacher_entropy": self.entropy}
