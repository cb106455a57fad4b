"""The settings of one evaluation: encoder, label set, protocol, share of the labels, seed. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from spectralearth_build.errors import ConfigError
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.training_config import EncoderConfig, ObjectiveRecipe
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Positive, Seed

Task = Literal["multilabel", "segmentation", "single"]
Protocol = Literal["frozen", "finetune", "adapter", "scratch"]
Head = Literal["", "linear", "knn", "ridge", "conv", "fcn", "unet", "deeplab", "upconv"]

INSTANT = ("knn", "ridge")
"""Heads without epochs, for frozen encoders."""
HEADS: dict[Task, tuple[str, ...]] = {
    "multilabel": ("linear", *INSTANT),
    "single": ("linear", *INSTANT),
    "segmentation": ("conv", "fcn", "unet", "deeplab", "upconv", "ridge"),
}
"""Heads that a task may have."""
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
_ONE_CLASS = ("oa", "aa", "f1_micro", "f1_macro")
FIGURES: dict[Task, tuple[str, ...]] = {
    "multilabel": ("f1_micro", "f1_macro", "map_micro", "map_macro"),
    "segmentation": (*_ONE_CLASS, "iou_micro", "iou_macro"),
    "single": _ONE_CLASS,
}
"""The figures that an evaluation gives."""
CHOOSES: dict[Task, str] = {"multilabel": "map_macro", "single": "f1_macro", "segmentation": "iou_macro"}
"""The figure on val by which the best epoch is chosen, and which tables show unless they are told another."""
UNDECISIVE = ("device", "memory_gb", "threads")
"""Settings that do not change what is asked, only where and how it is computed."""


class Training(Section):
    """How the head, and whatever else the protocol trains, is trained. A benchmark sets these for many evaluations."""

    head: Head = ""
    """linear, knn or ridge of vectors; conv, fcn, unet, deeplab, upconv or ridge of maps. Empty: linear, or for
    segmentation fcn (ResNets) and upconv (others)."""
    epochs: Count = 100
    """Passes over the labelled samples."""
    batch: Count = 64
    """Samples of a step."""
    rate: Positive = 1e-3
    """Learning rate of AdamW at the first step; it falls to 0 along half a cosine."""
    weight_decay: NotNegative = 0.01
    """Of weights, not of biases and norms."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps with a rising rate."""
    size: Annotated[int, Field(ge=8, le=WINDOW)] = 128
    """Edge of the images in pixels. Below 128, training sees a random crop of each patch, or all whole crops of it
    if the encoder is frozen; val and test see all whole crops."""
    dense: bool = False
    """ResNets: dilation instead of stride."""
    stem: Literal["", "full"] = ""
    """full: first stages of a ResNet without stride."""
    boundary: NotNegative = 0.0
    """Segmentation: how much more a pixel at the border of two classes counts; 0: all count the same."""
    device: str = ""
    """cuda, cpu, ...; empty: cuda if available."""
    precision: Literal["", "bf16", "fp32"] = ""
    """Of the networks; empty: bf16 on a GPU, fp32 elsewhere."""
    memory_gb: NotNegative = 8.0
    """Most memory for features of a frozen encoder; if they need more they are computed anew in each epoch."""

    def overrides(self) -> dict[str, Any]:
        """The settings of training that were set; the others are left to whoever asks."""
        return {name: value for name, value in self.given().items() if name in Training.model_fields}


class EvaluateConfig(Training):
    """All settings of an evaluation."""

    labels: Annotated[str, Field(min_length=1)]
    """Name of a label set that `pair` has made."""
    task: Task
    """multilabel: the classes of a patch; single: the class of most of its area; segmentation: of each pixel."""
    protocol: Protocol = "frozen"
    """What is trained beside the head. frozen: nothing; adapter: the spectral adapter; finetune: everything;
    scratch: everything, from random weights."""
    nomenclature: str = ""
    """Table of classes; empty: that of the label set."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the train locations whose labels are used; smaller shares are subsets of larger ones."""
    seed: Seed = 0
    """Seed of random weights, choice of labels, order of samples and crops."""
    threads: CountOrNone = 0
    """Threads that read; 0: one a core."""
    encoder: EncoderConfig = EncoderConfig()
    """The network, where no file of weights is given."""

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        heads = HEADS[self.task]
        if self.head and self.head not in heads:
            raise ConfigError(
                f"The head '{self.head}' does not go with {self.task}.", remedy=f"It has: {', '.join(heads)}."
            )
        if self.head in INSTANT and self.protocol != "frozen":
            raise ConfigError(
                f"The head '{self.head}' trains nothing, so it needs protocol frozen.",
                remedy="Choose another head or protocol.",
            )
        if self.boundary and self.task != "segmentation":
            raise ConfigError(
                f"boundary={self.boundary} weights pixels, but the task is {self.task}.",
                remedy="Leave it out, or choose segmentation.",
            )
        return self

    @property
    def instant(self) -> bool:
        """Whether the head needs no epochs."""
        return self.head in INSTANT

    @property
    def recipe(self) -> ObjectiveRecipe:
        """How the head, and what else the protocol trains, is optimised."""
        return ObjectiveRecipe(self.epochs, "adamw", self.rate, self.weight_decay, self.warmup)

    def document(self) -> dict[str, Any]:
        """What decides the result, as JSON."""
        return self.model_dump(exclude=set(UNDECISIVE))
