"""The settings of each objective. Do not need torch."""

from spectralearth_build.pretrain.recipes.augmentation import Augmentation
from spectralearth_build.pretrain.recipes.distillation import DistilConfig
from spectralearth_build.pretrain.recipes.pairs import (
    BarlowConfig,
    ByolConfig,
    SimClrConfig,
    SimSiamConfig,
    SwavConfig,
    VicRegConfig,
)
from spectralearth_build.pretrain.recipes.published import DinoConfig, MaeConfig, MoCoConfig

__all__ = [
    "Augmentation",
    "BarlowConfig",
    "ByolConfig",
    "DinoConfig",
    "DistilConfig",
    "MaeConfig",
    "MoCoConfig",
    "SimClrConfig",
    "SimSiamConfig",
    "SwavConfig",
    "VicRegConfig",
]
