"""The settings of one evaluation: encoder, label set, protocol, label fraction, seed. Does not need torch."""

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
"""Heads that need no epochs, for frozen encoders only."""
HEADS: dict[Task, tuple[str, ...]] = {
    "multilabel": ("linear", *INSTANT),
    "single": ("linear", *INSTANT),
    "segmentation": ("conv", "fcn", "unet", "deeplab", "upconv", "ridge"),
}
"""The heads of each task."""
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
_ONE_CLASS = ("oa", "aa", "f1_micro", "f1_macro")
FIGURES: dict[Task, tuple[str, ...]] = {
    "multilabel": ("f1_micro", "f1_macro", "map_micro", "map_macro"),
    "segmentation": (*_ONE_CLASS, "iou_micro", "iou_macro"),
    "single": _ONE_CLASS,
}
"""The figures of each task."""
CHOOSES: dict[Task, str] = {"multilabel": "map_macro", "single": "f1_macro", "segmentation": "iou_macro"}
"""The figure on val that chooses the best epoch. Tables also show it by default."""
UNDECISIVE = ("device", "memory_gb", "threads", "allow_seen")
"""Settings that do not define the result, only whether, where and how it is computed."""


class Training(Section):
    """How to train the head and other parts that the protocol trains. A downstream comparison shares these settings."""

    head: Head = ""
    """Head. On vectors: linear, knn or ridge. For segmentation: conv, fcn, unet, deeplab, upconv or ridge. Empty:
    linear, or for segmentation fcn (ResNets) and upconv (others)."""
    epochs: Count = 100
    """Number of epochs over the labelled samples."""
    batch: Count = 64
    """Batch size."""
    rate: Positive = 1e-3
    """Initial learning rate of AdamW. It decays to 0 along a half cosine."""
    weight_decay: NotNegative = 0.01
    """Weight decay of weights. Biases and normalisation layers have none."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps used for learning-rate warm-up."""
    size: Annotated[int, Field(ge=8, le=WINDOW)] = 128
    """Edge of the images in pixels. Below 128, training uses a random crop of each patch, or all whole crops if the
    encoder is frozen. val and test use all whole crops."""
    dense: bool = False
    """ResNets only: use dilation instead of stride."""
    stem: Literal["", "full"] = ""
    """ResNets only: full removes the stride of the first stage."""
    boundary: NotNegative = 0.0
    """Segmentation only: extra weight of pixels at the border of two classes; 0: all pixels count the same."""
    device: str = ""
    """Device, such as cuda or cpu; empty: cuda if available."""
    precision: Literal["", "bf16", "fp32"] = ""
    """Precision of the networks; empty: bf16 on a GPU, fp32 on a CPU."""
    memory_gb: NotNegative = 8.0
    """Maximum memory in GB for features of a frozen encoder. If they need more, they are computed again in each
    epoch."""

    allow_seen: bool = False
    """Evaluate an encoder even if it was trained on ground of val or test."""

    def overrides(self) -> dict[str, Any]:
        """Return the training settings that were set explicitly. The caller decides on the others."""
        return {name: value for name, value in self.given().items() if name in Training.model_fields}


class EvaluateConfig(Training):
    """All settings of an evaluation."""

    labels: Annotated[str, Field(min_length=1)]
    """Name of the label set, as given to `pair`."""
    task: Task
    """Task. multilabel: predict all classes of a patch; single: the class with the largest area; segmentation: the
    class of each pixel."""
    protocol: Protocol = "frozen"
    """What is trained besides the head. frozen: nothing; adapter: the spectral adapter; finetune: everything; scratch:
    everything, from random weights."""
    nomenclature: str = ""
    """Class table, such as corine19; empty: that of the label set."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training locations whose labels are used. Smaller shares are subsets of larger ones."""
    seed: Seed = 0
    """Random seed of weights, choice of labels, order of samples and crops."""
    threads: CountOrNone = 0
    """Number of reader threads; 0: one per core."""
    encoder: EncoderConfig = EncoderConfig()
    """The encoder network, used if no file of weights is given."""

    @model_validator(mode="after")
    def _check(self) -> EvaluateConfig:
        heads = HEADS[self.task]
        if self.head and self.head not in heads:
            raise ConfigError(
                f"The head '{self.head}' does not support the task {self.task}.",
                remedy=f"Use one of: {', '.join(heads)}.",
            )
        if self.head in INSTANT and self.protocol != "frozen":
            raise ConfigError(
                f"The head '{self.head}' trains nothing, so it requires protocol frozen.",
                remedy="Choose another head or protocol.",
            )
        if self.boundary and self.task != "segmentation":
            raise ConfigError(
                f"boundary={self.boundary} weights pixels, but the task is {self.task}.",
                remedy="Leave it out, or use --task segmentation.",
            )
        return self

    @property
    def instant(self) -> bool:
        """Return whether the head needs no epochs."""
        return self.head in INSTANT

    @property
    def recipe(self) -> ObjectiveRecipe:
        """Return how the head and other trained parts are optimised."""
        return ObjectiveRecipe(self.epochs, "adamw", self.rate, self.weight_decay, self.warmup)

    def document(self) -> dict[str, Any]:
        """Return the settings that determine the result, as a JSON document."""
        return self.model_dump(exclude=set(UNDECISIVE))
