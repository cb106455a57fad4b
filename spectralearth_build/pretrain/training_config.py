"""The settings of a pretraining run. Recipes are those of SpectralEarth (arXiv 2408.08447). Does not need torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.recipes import (
    Augmentation,
    BarlowConfig,
    ByolConfig,
    DinoConfig,
    DistilConfig,
    MaeConfig,
    MoCoConfig,
    SimClrConfig,
    SimSiamConfig,
    SwavConfig,
    VicRegConfig,
)
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Seed, Share

ObjectiveName = Literal[
    "moco", "dino", "mae", "simclr", "byol", "simsiam", "barlow", "vicreg", "swav", "distil"
]
Network = Literal["resnet18", "resnet50", "vit_s", "vit_b", "vit_l", "vit_h", "vit_g", "swin_t"]
"""The encoders that `pretrain.encoders.make` knows."""


class DataConfig(Section):
    """Which data are read, and how samples are made from them."""

    dates: Literal["random", "farthest", "season"] = "random"
    """How to choose two dates of a location. If there is only one date, it is used twice."""
    split: str = "auto"
    """Use only patches of this split, such as train; auto: train if the dataset has splits; empty: all patches."""
    min_dates: Count = 1
    """Use only locations with at least this many dates."""
    max_cloud: Share = 1.0
    """Use only patches with at most this cloud fraction."""
    threads: CountOrNone = 0
    """Number of reader threads; 0: one per core."""
    labels: str = ""
    """Parquet file with columns location_id and label (integers). If given, k-NN accuracy on held-out locations is
    logged with each checkpoint."""


class EncoderConfig(Section):
    """The encoder network."""

    name: Network = "vit_s"
    """Architecture of the encoder."""
    patch: Count = 4
    """ViT only: edge of the patches in pixels: 4, 8, 16 or 32."""
    image: CountOrNone = 0
    """ViT only: edge of the images that the position embeddings are made for; 0: that of the views."""
    pool: Literal["", "token", "mean"] = ""
    """ViT only: the feature vector of an image, either the class token or the mean of the patch tokens. Empty: the mean
    for MAE, whose loss does not train the class token, else the token."""
    positions: Literal["learned", "fixed"] = "learned"
    """ViT only: position embeddings, either learned or fixed sines and cosines."""


class TrainConfig(Section):
    """The optimisation. Zeros and empty names select the recipe of the objective."""

    epochs: CountOrNone = 0
    """Number of passes over the dataset; 0: 100, as in the recipe (MAE: 200)."""
    steps: CountOrNone = 0
    """Number of optimiser steps, instead of epochs; 0: use epochs."""
    batch: Count = 64
    """Batch size of each process."""
    accumulate: Count = 1
    """Number of batches whose gradients are accumulated for one optimiser step."""
    optimiser: Literal["", "sgd", "adamw"] = ""
    """Optimiser; empty: that of the recipe."""
    rate: NotNegative = 0.0
    """Peak learning rate; 0: that of the recipe, which holds for 256 samples a step. See rate_scaling."""
    rate_scaling: Literal["batch", "none"] = "batch"
    """How the rate of the recipe changes with the number of samples a step. batch: in proportion with SGD, with its
    square root with AdamW. A rate that you give is not scaled."""
    schedule: Literal["steps", "epochs"] = "steps"
    """When the learning rate changes. epochs: once an epoch, with the warm-up and the unfinished cosine of the
    published code."""
    weight_decay: Annotated[float, Field(ge=-1)] = -1.0
    """Weight decay; below 0: that of the recipe."""
    decay: Literal["weights", "all"] = "weights"
    """What weight decay applies to. weights: not to biases and normalisation layers."""
    warmup: Annotated[float, Field(ge=-1, le=1)] = -1.0
    """Share of the steps used for learning-rate warm-up; below 0: that of the recipe."""
    clip: NotNegative = 3.0
    """Maximum norm of the gradient; 0: no clipping."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Precision of the networks. Parameters and losses are always fp32."""
    recompute: Literal["none", "adapter", "all"] = "none"
    """Which parts of the encoder keep no intermediate results, but compute them again for the gradient: less memory,
    more arithmetic, the same numbers. all: adapter and blocks."""
    compile: bool = False
    """Compile the encoder with torch.compile."""
    seed: Seed = 0
    """Random seed of weights, sample order and augmentation."""
    device: str = ""
    """Device, such as cuda or cpu; empty: cuda if available."""
    log_steps: Count = 10
    """Number of steps between log lines."""
    checkpoint_steps: Count = 500
    """Number of steps between checkpoints. A checkpoint is also written at the end, and when the run is stopped."""


class PretrainConfig(Section):
    """All settings of a pretraining run."""

    objective: ObjectiveName = "moco"
    """Pretraining objective."""
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    train: TrainConfig = TrainConfig()
    moco: MoCoConfig = MoCoConfig()
    dino: DinoConfig = DinoConfig()
    mae: MaeConfig = MaeConfig()
    simclr: SimClrConfig = SimClrConfig()
    byol: ByolConfig = ByolConfig()
    simsiam: SimSiamConfig = SimSiamConfig()
    barlow: BarlowConfig = BarlowConfig()
    vicreg: VicRegConfig = VicRegConfig()
    swav: SwavConfig = SwavConfig()
    distil: DistilConfig = DistilConfig()

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, tree: Any) -> Any:  # noqa: ANN401
        """If the objective is to follow the published code, give other sections the values that belong to it."""
        if not isinstance(tree, dict):
            return tree
        objective = tree.get("objective", "moco")
        if not isinstance(objective, str) or objective not in PUBLISHED:
            return tree
        if not _is_true(_given(tree.get(objective)).get("official")):
            return tree
        return tree | {
            section: {**values, **_given(tree.get(section))}
            for section, values in PUBLISHED[objective].items()
        }

    @model_validator(mode="after")
    def _fits(self) -> PretrainConfig:
        batch, splits = self.train.batch, self.moco.batch_splits
        if self.objective == "moco" and not self.moco.official and batch % splits:
            raise ValueError(
                f"train.batch={batch} cannot be split into moco.batch_splits={splits} equal parts; choose a "
                "multiple, or another moco.batch_splits"
            )
        if self.objective == "moco" and self.moco.queue < batch:
            raise ValueError(
                f"moco.queue={self.moco.queue} cannot hold the keys of train.batch={batch}; "
                "make the queue longer"
            )
        if self.objective == "mae":
            self._fits_mae()
        if self.objective == "distil" and not self.distil.teacher:
            raise ValueError("distil.teacher is empty: give the file of a trained encoder")
        return self

    def _fits_mae(self) -> None:
        if not self.encoder.name.startswith("vit"):
            raise ValueError(f"encoder.name={self.encoder.name}: MAE needs a ViT, such as vit_s")
        image, view = self.encoder.image, self.view_sizes()["mae.views"]
        if image not in (0, view):
            raise ValueError(
                f"encoder.image={image}: the views of MAE have {view} pixels, and it draws hidden patches from the "
                f"grid of the encoder; leave encoder.image out, or set mae.views.size={image}"
            )

    def view_sizes(self) -> dict[str, int]:
        """Return the edge in pixels of the objective's views, by the section that describes them."""
        recipe = getattr(self, self.objective)
        sections = {name: getattr(recipe, name) for name in type(recipe).model_fields}
        return {
            f"{self.objective}.{name}": section.size or WINDOW
            for name, section in sections.items()
            if isinstance(section, Augmentation) and not (name == "local" and not recipe.local_crops)
        }

    def document(self) -> dict[str, Any]:
        """Return the settings as a JSON document, without those of other objectives."""
        others = {*get_args(ObjectiveName)} - {self.objective}
        return self.model_dump(exclude=others)


_TRAINING = {"clip": 0.0, "decay": "all", "schedule": "epochs", "rate_scaling": "none"}
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "moco": {"train": _TRAINING},
    "dino": {"train": _TRAINING},
    "mae": {
        "train": _TRAINING | {"weight_decay": 0.01, "warmup": 0.0},
        "encoder": {"positions": "fixed", "pool": "token"},
    },
}
"""Settings outside the section of an objective with which the published code trains it."""


def _given(section: Any) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(section, Section):
        return section.given()
    return section if isinstance(section, dict) else {}


def _is_true(value: Any) -> bool:  # noqa: ANN401
    """Return whether a value that is not validated yet means true."""
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False  # the field will say so


@dataclass(frozen=True)
class ObjectiveRecipe:
    """The default optimisation of an objective, which settings override."""

    epochs: int
    optimiser: Literal["sgd", "adamw"]
    rate: float
    weight_decay: float
    warmup: float
    """Share of the steps used for learning-rate warm-up."""
    drops: tuple[float, ...] = ()
    """Shares of the steps at which the learning rate drops by a factor of ten; empty: cosine decay to 0."""
    decay_all: bool = False
    """Whether weight decay also applies to biases and normalisation layers."""
    by_epoch: bool = False
    """Whether the learning rate changes once an epoch, as in the published code."""


SAMPLES = 256
"""Samples a step for which the learning rates of the recipes hold: 64 on each of 4 GPUs."""
RECIPES = {
    "moco": ObjectiveRecipe(100, "sgd", rate=1e-3, weight_decay=1e-4, warmup=0.0, drops=(0.6, 0.8)),
    "dino": ObjectiveRecipe(100, "adamw", 1e-3, 1e-5, 0.2),
    "mae": ObjectiveRecipe(200, "adamw", 1e-4, 0.05, 0.05),
    "simclr": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
    "byol": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
    "simsiam": ObjectiveRecipe(100, "sgd", 0.05, 1e-4, 0.0),
    "barlow": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
    "vicreg": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
    "swav": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
    "distil": ObjectiveRecipe(100, "adamw", 1e-3, 0.05, 0.05),
}


def recipe_of(config: PretrainConfig, processes: int = 1) -> ObjectiveRecipe:
    """Return the recipe of the objective, with the settings applied.

    Args:
        config: the settings.
        processes: number of processes, each of which has a batch of its own.
    """
    base, train = RECIPES[config.objective], config.train
    # Drops apply only to the recipe's own optimiser.
    drops = base.drops if train.optimiser in ("", base.optimiser) else ()
    optimiser = train.optimiser or base.optimiser
    scale = 1.0
    if train.rate_scaling == "batch":
        scale = (train.batch * train.accumulate * processes / SAMPLES) ** (1 if optimiser == "sgd" else 0.5)
    return ObjectiveRecipe(
        train.epochs or base.epochs,
        optimiser,
        rate=train.rate or base.rate * scale,
        weight_decay=base.weight_decay if train.weight_decay < 0 else train.weight_decay,
        warmup=base.warmup if train.warmup < 0 else train.warmup,
        drops=drops,
        decay_all=train.decay == "all",
        by_epoch=train.schedule == "epochs",
    )
