"""The settings of a pretraining run; the recipes are those of SpectralEarth (arXiv 2408.08447). Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from spectralearth_build.pretrain.recipes import DinoConfig, MaeConfig, MoCoConfig, SimClrConfig
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Seed, Share

ObjectiveName = Literal["moco", "dino", "mae", "simclr"]
Network = Literal["resnet18", "resnet50", "vit_s", "vit_b", "vit_l", "vit_h", "vit_g", "swin_t"]
"""The encoders that `pretrain.encoders.make` knows."""


class DataConfig(Section):
    """What is read, and how samples are made of it."""

    dates: Literal["random", "farthest", "season"] = "random"
    """How two dates of a location are chosen. Where there is one, it is taken twice."""
    split: str = ""
    """Only this part of the dataset, for example train; empty: all of it."""
    min_dates: Count = 1
    """Only locations with at least this many dates."""
    max_cloud: Share = 1.0
    """Only patches with at most this share under cloud."""
    threads: CountOrNone = 0
    """Threads that read; 0: one a core."""
    labels: str = ""
    """Parquet file with location_id and label (whole numbers): a k-NN on held-out locations is logged
    with each checkpoint."""


class EncoderConfig(Section):
    """The network."""

    name: Network = "vit_s"
    """Which one."""
    patch: Count = 4
    """Edge of a ViT's patches in pixels: 4, 8, 16 or 32."""
    image: CountOrNone = 0
    """Edge of the images that a ViT's positions are made for; 0: that of the views."""
    pool: Literal["", "token", "mean"] = ""
    """A ViT's vector of an image: its class token, or the mean of its patches. Empty: the mean for MAE, whose loss does
    not ask the token for anything, else the token."""


class TrainConfig(Section):
    """The optimisation. Zeros and empty names stand for the recipe of the objective."""

    epochs: CountOrNone = 0
    """Passes over the dataset; 0: the recipe's 100 (MAE: 200)."""
    steps: CountOrNone = 0
    """Steps of the optimiser instead of epochs; 0: by epochs."""
    batch: Count = 64
    """Samples of a process and step."""
    accumulate: Count = 1
    """Batches whose gradients are added up for one step."""
    optimiser: Literal["", "sgd", "adamw"] = ""
    """Empty: the recipe's."""
    rate: NotNegative = 0.0
    """Learning rate; 0: the recipe's."""
    weight_decay: Annotated[float, Field(ge=-1)] = -1.0
    """Below 0: the recipe's."""
    warmup: Annotated[float, Field(ge=-1, le=1)] = -1.0
    """Share of the steps with a rising rate; below 0: the recipe's."""
    clip: NotNegative = 3.0
    """Largest norm of the gradient; 0: no limit."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of the networks; parameters and losses are fp32 always."""
    compile: bool = False
    """Whether the encoder is compiled."""
    seed: Seed = 0
    """Of weights, order and augmentation."""
    device: str = ""
    """cuda, cpu, ...; empty: cuda if available."""
    log_steps: Count = 10
    """Steps from one line of the log to the next."""
    checkpoint_steps: Count = 500
    """Steps from one checkpoint to the next; there is one at the end, and one when the run is stopped."""


class PretrainConfig(Section):
    """All settings of a run."""

    objective: ObjectiveName = "moco"
    """What is learned."""
    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    train: TrainConfig = TrainConfig()
    moco: MoCoConfig = MoCoConfig()
    dino: DinoConfig = DinoConfig()
    mae: MaeConfig = MaeConfig()
    simclr: SimClrConfig = SimClrConfig()

    @model_validator(mode="after")
    def _fits(self) -> PretrainConfig:
        batch, splits = self.train.batch, self.moco.batch_splits
        if self.objective == "moco" and not self.moco.official and batch % splits:
            raise ValueError(
                f"train.batch={batch} cannot be split into moco.batch_splits={splits} equal parts; "
                "choose a multiple, or other parts"
            )
        if self.objective == "mae" and not self.encoder.name.startswith("vit"):
            raise ValueError(f"encoder.name={self.encoder.name}: MAE needs a ViT, such as vit_s")
        return self

    def document(self) -> dict[str, Any]:
        """As JSON, without the settings of other objectives."""
        others = {"moco", "dino", "mae", "simclr"} - {self.objective}
        return self.model_dump(exclude=others)


@dataclass(frozen=True)
class ObjectiveRecipe:
    """What an objective is trained with unless the settings say otherwise."""

    epochs: int
    optimiser: Literal["sgd", "adamw"]
    rate: float
    weight_decay: float
    warmup: float
    """Share of the steps."""
    drops: tuple[float, ...] = ()
    """Shares of the steps at which the rate falls to a tenth; none: half a cosine to 0."""


RECIPES = {
    "moco": ObjectiveRecipe(100, "sgd", rate=1e-3, weight_decay=1e-4, warmup=0.0, drops=(0.6, 0.8)),
    "dino": ObjectiveRecipe(100, "adamw", 1e-3, 1e-5, 0.2),
    "mae": ObjectiveRecipe(200, "adamw", 1e-4, 0.05, 0.05),
    "simclr": ObjectiveRecipe(100, "adamw", 1e-3, 1e-4, 0.1),
}


def recipe_of(config: PretrainConfig) -> ObjectiveRecipe:
    """The recipe of the objective with the settings laid over it."""
    base, train = RECIPES[config.objective], config.train
    # Drops belong to the recipe's own optimiser.
    drops = base.drops if train.optimiser in ("", base.optimiser) else ()
    return ObjectiveRecipe(
        train.epochs or base.epochs,
        train.optimiser or base.optimiser,
        rate=train.rate or base.rate,
        weight_decay=base.weight_decay if train.weight_decay < 0 else train.weight_decay,
        warmup=base.warmup if train.warmup < 0 else train.warmup,
        drops=drops,
    )
