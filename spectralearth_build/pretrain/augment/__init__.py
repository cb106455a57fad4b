"""Augmentation on the device, in batches: geometry as matrix products, spectra as products and sums."""

from spectralearth_build.pretrain.augment.views import Augmentation, augment

__all__ = ["Augmentation", "augment"]
