"""The settings of one evaluation: an encoder, a label set, a protocol, a share of the labels, a seed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from spectralearth_build.errors import ConfigError
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.config import EncoderConfig, Recipe

Task = Literal["multilabel", "segmentation", "single"]
Protocol = Literal["frozen", "finetune", "adapter", "scratch"]

INSTANT = ("knn", "ridge")
"""Heads without epochs, for frozen encoders."""
HEADS: dict[Task, tuple[str, ...]] = {
    "multilabel": ("linear", *INSTANT),
    "single": ("linear", *INSTANT),
    "segmentation": ("conv", "fcn", "unet", "deeplab", "upconv", "ridge"),
}
"""Heads that a task may have."""
CHOOSES: dict[Task, str] = {"multilabel": "map_macro", "single": "f1_macro", "segmentation": "iou_macro"}
"""The figure on val by which the best epoch is chosen."""
UNDECISIVE = ("device", "memory_gb", "threads")
"""Settings that do not change what is asked, only where and how it is computed."""


@dataclass(frozen=True)
class EvaluateConfig:
    """All settings of an evaluation."""

    labels: str
    """Name of a label set that `pair` has made."""
    task: Task
    """multilabel: the classes of a patch; single: the class of most of its area; segmentation: of each pixel."""
    protocol: Protocol = "frozen"
    """What is trained beside the head. frozen: nothing; adapter: the spectral adapter; finetune: everything;
    scratch: everything, from random weights."""
    head: str = ""
    """linear, knn or ridge of vectors; conv, fcn, unet, deeplab, upconv or ridge of maps. Empty: linear, or for
    segmentation fcn (ResNets) and upconv (others)."""
    nomenclature: str = ""
    """Table of classes; empty: that of the label set."""
    fraction: float = 1.0
    """Share of the locations of train whose labels are used; smaller shares are parts of larger ones."""
    seed: int = 0
    """Of random weights, the choice of labels, the order of samples and crops."""
    epochs: int = 100
    """Passes over the labelled samples."""
    batch: int = 64
    """Samples of a step."""
    rate: float = 1e-3
    """Learning rate of AdamW at the first step; it falls to 0 along half a cosine."""
    weight_decay: float = 0.01
    """Of weights, not of biases and norms."""
    warmup: float = 0.0
    """Share of the steps with a rising rate."""
    size: int = 128
    """Edge of the images in pixels. Below 128, training sees a random crop of each patch, or all whole crops of it
    if the encoder is frozen; val and test see all whole crops."""
    dense: bool = False
    """ResNets: dilation instead of stride."""
    stem: str = ""
    """full: first stages of a ResNet without stride."""
    boundary: float = 0.0
    """Segmentation: how much more a pixel at the border of two classes counts; 0: all count the same."""
    device: str = ""
    """cuda, cpu, ...; empty: cuda where there is one."""
    precision: Literal["", "bf16", "fp32"] = ""
    """Of the networks; empty: bf16 on a GPU, fp32 elsewhere."""
    memory_gb: float = 8.0
    """Most memory for features of a frozen encoder; if they need more they are computed anew in each epoch."""
    threads: int = 0
    """Threads that read; 0: one a core."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The network, where no file of weights is given."""

    def __post_init__(self) -> None:
        for wrong, what, remedy in self._mistakes():
            if wrong:
                raise ConfigError(what, remedy=remedy)

    def _mistakes(self) -> list[tuple[bool, str, str]]:
        heads = HEADS.get(self.task, ())
        protocols = ("frozen", "finetune", "adapter", "scratch")
        return [
            (not heads, f"There is no task '{self.task}'.", f"There are: {', '.join(HEADS)}."),
            (
                self.protocol not in protocols,
                f"There is no protocol '{self.protocol}'.",
                f"There are: {', '.join(protocols)}.",
            ),
            (
                bool(self.head) and self.head not in heads,
                f"The head '{self.head}' does not go with {self.task}.",
                f"It has: {', '.join(heads)}.",
            ),
            (
                self.head in INSTANT and self.protocol != "frozen",
                f"The head '{self.head}' trains nothing, so it needs protocol frozen.",
                "Choose another head or protocol.",
            ),
            (self.stem not in ("", "full"), f"There is no stem '{self.stem}'.", "Give full, or nothing."),
            (
                not 0 < self.fraction <= 1,
                f"A share of {self.fraction} of the labels.",
                "Give 0 < fraction <= 1.",
            ),
            (
                min(self.epochs, self.batch) < 1 or not 0 < self.rate < math.inf,
                "Epochs and batch are 1 or more, the rate is above 0.",
                "Correct them.",
            ),
            (not 8 <= self.size <= WINDOW, f"Images of {self.size} pixels.", f"Give 8 to {WINDOW}."),
            (
                self.boundary < 0 or (self.boundary > 0 and self.task != "segmentation"),
                f"boundary={self.boundary} with {self.task}.",
                "It is 0 or more, and for segmentation only.",
            ),
        ]

    @property
    def instant(self) -> bool:
        """Whether the head needs no epochs."""
        return self.head in INSTANT

    @property
    def recipe(self) -> Recipe:
        """How the head, and what else the protocol trains, is optimised."""
        return Recipe(self.epochs, "adamw", self.rate, self.weight_decay, self.warmup)

    def document(self) -> dict[str, Any]:
        """What decides the result, as JSON."""
        return {name: value for name, value in asdict(self).items() if name not in UNDECISIVE}
