"""The settings of each objective, at the values of SpectralEarth (arXiv 2408.08447). Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Positive, Range, Share

Kept = Annotated[float, Field(ge=0, le=1)]
"""How much of a moving average stays at each step."""


class Augmentation(Section):
    """What may happen to an image. Nothing is clipped and no band is scaled by itself: spectra stay spectra."""

    scale: Range = (0.08, 1.0)
    """Share of the area that a crop keeps, smallest and largest."""
    ratio: Range = (3 / 4, 4 / 3)
    """Width / height of a crop, smallest and largest."""
    size: CountOrNone = 0
    """Edge of the view in pixels; 0: that of the image."""
    flip: Share = 0.5
    """Probability of each of the two flips."""
    blur: Share = 0.0
    """Probability of a Gaussian blur."""
    sigma: Range = (0.1, 2.0)
    """Its width in pixels, smallest and largest."""
    kernel: Count = 13
    """Its taps, an odd number."""
    drop_bands: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the bands that are set to their mean."""
    gain: NotNegative = 0.0
    """Standard deviation of a factor (1 + gain) on a whole image."""
    offset: NotNegative = 0.0
    """Standard deviation of a value added to a whole image, in standard deviations of a band."""

    @field_validator("scale")
    @classmethod
    def _at_most_all(cls, values: tuple[float, float]) -> tuple[float, float]:
        if values[1] > 1:
            raise ValueError("a crop keeps at most all of the area, 1.0")
        return values

    @field_validator("kernel")
    @classmethod
    def _odd(cls, taps: int) -> int:
        if taps % 2 == 0:
            raise ValueError("the number of taps must be odd")
        return taps


class MoCoConfig(Section):
    """MoCo-v2 as in SpectralEarth (arXiv 2408.08447)."""

    temperature: Positive = 0.1
    """Divides the cosines."""
    queue: Count = 32768
    """Keys kept as negatives."""
    momentum: Kept = 0.999
    """How much of the key encoder stays at each step."""
    hidden: Count = 2048
    """Width of the head's hidden layer."""
    dim: Count = 128
    """Length of a key."""
    batch_splits: Count = 4
    """Parts of a batch with batch statistics of their own; 1: plain batch normalisation, which leaks."""
    mask_location: bool = True
    """Whether keys of the query's own location are left out of its negatives."""
    official: bool = False
    """As in the published code: the key encoder starts from other weights than the query, batch normalisation is
    plain, and keys of the own location count as negatives."""
    views: Augmentation = Augmentation(blur=0.5)
    """Augmentation of both views."""


class DinoConfig(Section):
    """DINO as in SpectralEarth (arXiv 2408.08447)."""

    student_temperature: Positive = 0.1
    """Divides the student's logits."""
    teacher_temperature: Positive = 0.04
    """Divides the teacher's logits."""
    centre_momentum: Kept = 0.9
    """How much of the centre stays at each step."""
    momentum: Kept = 0.996
    """How much of the teacher stays at each step, at the start; 1 after the last step."""
    hidden: Count = 2048
    """Width of the head's hidden layers."""
    bottleneck: Count = 256
    """Length of the normalised vector before the prototypes."""
    prototypes: Annotated[int, Field(ge=2)] = 128
    """Outputs of the head."""
    freeze_prototypes: Share = 0.01
    """Share of the steps, at the start, in which the prototypes are not trained."""
    local_crops: CountOrNone = 0
    """Small views more, for the student only."""
    official: bool = False
    """As in the published code: the teacher's momentum reaches 1 after 9 % of the steps, and stays there."""
    views: Augmentation = Augmentation(scale=(0.05, 1.0), blur=0.5)
    """Augmentation of the two global views."""
    local: Augmentation = Augmentation(scale=(0.05, 0.4), size=64, blur=0.5)
    """Augmentation of the local views."""


class MaeConfig(Section):
    """MAE as in SpectralEarth (arXiv 2408.08447)."""

    mask: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the patches that is hidden."""
    dim: Annotated[int, Field(ge=4, multiple_of=4)] = 512
    """Width of the decoder."""
    depth: CountOrNone = 1
    """Its blocks."""
    heads: Count = 16
    """Its heads of attention."""
    normalised: bool = True
    """Whether patches are predicted at mean 0 and variance 1."""
    official: bool = False
    """As in the published code: the adapter runs on hidden pixels too; ten times the work, and its batch statistics
    know them."""
    views: Augmentation = Augmentation(scale=(0.4, 1.0))
    """Augmentation."""

    @model_validator(mode="after")
    def _heads_divide(self) -> MaeConfig:
        if self.dim % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width (dim) of {self.dim}")
        return self


class SimClrConfig(Section):
    """SimCLR with the head of MoCo-v2."""

    temperature: Positive = 0.07
    """Divides the cosines; 0.2 suits a Swin encoder without projection."""
    hidden: CountOrNone = 2048
    """Width of the projection's hidden layer; 0: no projection."""
    dim: Count = 128
    """Length of a projected vector."""
    mask_location: bool = True
    """Whether other samples of the same location are left out of the negatives."""
    views: Augmentation = Augmentation(blur=0.5)
    """Augmentation of both views."""
