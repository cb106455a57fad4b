"""A dataset of nine patches with its statistics, and settings small enough for two cores."""

import json

import numpy as np
import pytest
import torch

from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.objectives.dino import DinoConfig
from spectralearth_build.pretrain.objectives.mae import MaeConfig
from spectralearth_build.pretrain.objectives.moco import MoCoConfig
from spectralearth_build.pretrain.objectives.simclr import SimClrConfig
from spectralearth_build.pretrain.recipes import (
    BarlowConfig,
    ByolConfig,
    DistilConfig,
    SimSiamConfig,
    SwavConfig,
    VicRegConfig,
)
from spectralearth_build.pretrain.training_config import (
    DataConfig,
    EncoderConfig,
    PretrainConfig,
    TrainConfig,
)
from tests.support.handmade_dataset import NOMINAL, make

VIEW = Augmentation(scale=(0.05, 0.2), size=16, blur=0.5)
SMALL = {
    "moco": MoCoConfig(queue=16, hidden=32, dim=16, batch_splits=2, views=VIEW),
    "dino": DinoConfig(
        hidden=32, bottleneck=16, prototypes=24, local_crops=1, views=VIEW, local=VIEW.changed(size=8)
    ),
    "mae": MaeConfig(mask=0.75, dim=32, heads=4, views=VIEW),
    "simclr": SimClrConfig(hidden=32, dim=16, views=VIEW),
    "byol": ByolConfig(hidden=32, dim=16, views=VIEW),
    "simsiam": SimSiamConfig(dim=32, bottleneck=16, views=VIEW),
    "barlow": BarlowConfig(dim=32, views=VIEW),
    "vicreg": VicRegConfig(dim=32, views=VIEW),
    "swav": SwavConfig(
        hidden=32, dim=16, prototypes=4, local_crops=1, views=VIEW, local=VIEW.changed(size=8)
    ),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)  # more only wait for each other beside other work


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("pretrain") / "dataset")
    pixels = np.stack(list(made.pixels.values())).transpose(1, 0, 2, 3).reshape(202, -1).astype(float)
    document = {
        "scale": 1e-4,
        "wavelength_nm": NOMINAL.tolist(),
        "mean": pixels.mean(1).tolist(),
        "std": pixels.std(1).tolist(),
    }
    (made.folder / "statistics.json").write_text(json.dumps(document))
    return made


@pytest.fixture
def settings(monkeypatch):
    """Settings of a tiny run of an objective, with a ViT that is small enough for it."""
    monkeypatch.setitem(SIZES, "s", (24, 2, 3))

    def of(objective: str, teacher="", **train) -> PretrainConfig:
        given = {
            "batch": 2,
            "steps": 4,
            "log_steps": 2,
            "checkpoint_steps": 2,
            "precision": "fp32",
            "device": "cpu",
        }
        return PretrainConfig(
            objective=objective,
            data=DataConfig(threads=1),
            encoder=EncoderConfig(name="vit_s", patch=8),
            train=TrainConfig(**given | train),
            **SMALL,
            distil=DistilConfig(teacher=str(teacher), views=VIEW),
        )

    return of
