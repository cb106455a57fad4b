"""Augmentation on the device, in batches: geometry as matrix products, spectra as products and sums."""

from spectralearth_build.pretrain.augment.views import augment
from spectralearth_build.pretrain.recipes import Augmentation

__all__ = ["Augmentation", "augment"]
