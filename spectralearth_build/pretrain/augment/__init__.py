"""Batched augmentation on the device. Geometry uses matrix products; spectra use products and sums."""

from spectralearth_build.pretrain.augment.views import augment
from spectralearth_build.pretrain.recipes import Augmentation

__all__ = ["Augmentation", "augment"]
