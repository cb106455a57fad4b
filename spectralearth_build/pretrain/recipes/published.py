"""Settings of the objectives of SpectralEarth (arXiv 2408.08447), with its values as defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spectralearth_build.pretrain.recipes.augmentation import Augmentation
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, Positive, Share

Kept = Annotated[float, Field(ge=0, le=1)]
"""Momentum of a moving average: the share that stays at each step."""


class MoCoConfig(Section):
    """MoCo-v2 as in SpectralEarth (arXiv 2408.08447)."""

    temperature: Positive = 0.1
    """Temperature that divides the cosines."""
    queue: Count = 32768
    """Number of keys kept as negatives."""
    momentum: Kept = 0.999
    """Momentum of the key encoder."""
    hidden: Count = 2048
    """Width of the hidden layer of the head."""
    dim: Count = 128
    """Length of a key."""
    batch_splits: Count = 4
    """Number of parts of a batch that are normalised separately; 1: plain batch normalisation, which leaks the positive
    pair."""
    mask_location: bool = True
    """Exclude keys of the query's own location from its negatives."""
    official: bool = False
    """Follow the published code: query and key encoder start from different weights and the key encoder moves before a
    step, batch normalisation is plain and also in the head, and keys of the same location count as negatives. Also
    changes defaults of [train], see docs/pretraining.md."""
    views: Augmentation = Augmentation(blur=0.5)
    """Augmentation of both views."""


class DinoConfig(Section):
    """DINO as in SpectralEarth (arXiv 2408.08447)."""

    student_temperature: Positive = 0.1
    """Temperature that divides the logits of the student."""
    teacher_temperature: Positive = 0.04
    """Temperature that divides the logits of the teacher."""
    centre_momentum: Kept = 0.9
    """Momentum of the centre."""
    momentum: Kept = 0.996
    """Initial momentum of the teacher. It rises to 1 at the last step."""
    hidden: Count = 2048
    """Width of the hidden layers of the head."""
    bottleneck: Count = 256
    """Length of the normalised vector before the prototypes."""
    prototypes: Annotated[int, Field(ge=2)] = 128
    """Number of outputs of the head."""
    freeze_prototypes: Share = 0.01
    """Share of the steps, from the start, during which the prototypes are frozen."""
    local_crops: CountOrNone = 0
    """Number of additional local views, which only the student sees."""
    official: bool = False
    """Follow the published code: the momentum of the teacher reaches 1 after 9 % of the steps and stays there, and the
    teacher moves before a step. Also changes defaults of [train], see docs/pretraining.md."""
    export: Literal["teacher", "student"] = "teacher"
    """Which network becomes the encoder. The paper evaluates the teacher."""
    views: Augmentation = Augmentation(scale=(0.05, 1.0), blur=0.5)
    """Augmentation of the two global views."""
    local: Augmentation = Augmentation(scale=(0.05, 0.4), size=64, blur=0.5)
    """Augmentation of the local views."""


class MaeConfig(Section):
    """MAE as in SpectralEarth (arXiv 2408.08447)."""

    mask: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the patches to hide."""
    dim: Annotated[int, Field(ge=4, multiple_of=4)] = 512
    """Width of the decoder."""
    depth: CountOrNone = 1
    """Number of blocks of the decoder."""
    heads: Count = 16
    """Number of attention heads of the decoder."""
    normalised: bool = True
    """Normalise each target patch to mean 0 and variance 1."""
    official: bool = False
    """Follow the published code: the adapter also runs on hidden pixels. This takes ten times the work, and its batch
    statistics include hidden pixels. Also changes defaults of [train] and [encoder], see docs/pretraining.md."""
    views: Augmentation = Augmentation(scale=(0.4, 1.0))
    """Augmentation."""

    @model_validator(mode="after")
    def _heads_divide(self) -> MaeConfig:
        if self.dim % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width (dim) of {self.dim}")
        return self
