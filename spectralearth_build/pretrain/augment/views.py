"""Random views of a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor

from spectralearth_build.pretrain.augment.matrices import blur, crops, flip, product, resize
from spectralearth_build.pretrain.recipes import Augmentation
from spectralearth_build.pretrain.sending import sent


def augment(images: Tensor, recipe: Augmentation, draw: torch.Generator) -> Tensor:
    """Return one random view of each image.

    Args:
        images: standardised [batch, band, y, x], square.
        recipe: the augmentations and their strengths.
        draw: random generator on the CPU, so that the random numbers do not depend on the device.

    Returns:
        [batch, band, size, size]; float16 on a GPU, float32 elsewhere.
    """
    batch, bands, edge, _ = images.shape
    size, device = recipe.size or edge, images.device
    box = crops(batch, edge, recipe.scale, recipe.ratio, draw)
    flips = torch.rand(batch, 2, generator=draw) < recipe.flip
    sigma = torch.empty(batch).uniform_(*recipe.sigma, generator=draw)
    sigma = sigma * (torch.rand(batch, generator=draw) < recipe.blur)
    box, flips, sigma = (sent(each, device) for each in (box, flips, sigma))
    rows, cols = (flip(resize(box[:, i], box[:, i + 2], edge, size), flips[:, i]) for i in (0, 1))
    if recipe.blur > 0:
        soft = blur(sigma, size, recipe.kernel)
        rows, cols = soft @ rows, soft @ cols
    view = product(rows, images, cols)
    if recipe.gain or recipe.offset:
        factor = 1 + recipe.gain * torch.randn(batch, 1, 1, 1, generator=draw)
        shift = recipe.offset * torch.randn(batch, 1, 1, 1, generator=draw)
        view = view * sent(factor, device).to(view.dtype) + sent(shift, device).to(view.dtype)
    if recipe.drop_bands:
        kept = torch.rand(batch, bands, 1, 1, generator=draw) >= recipe.drop_bands
        view = view * sent(kept, device).to(view.dtype)
    return view
