"""Settings of distillation."""

from __future__ import annotations

from typing import Literal

from spectralearth_build.pretrain.recipes.augmentation import Augmentation
from spectralearth_build.settings import Section


class DistilConfig(Section):
    """Distillation: a linear map of the encoder's vector predicts the vector of a larger, trained encoder."""

    teacher: str = ""
    """File of the trained encoder, such as large/encoder.safetensors. It is not changed."""
    loss: Literal["cosine", "mse"] = "cosine"
    """What is compared. cosine: directions; mse: values, after a layer normalisation of the teacher's."""
    views: Augmentation = Augmentation(scale=(0.4, 1.0))
    """Augmentation. Both networks see the same view."""
