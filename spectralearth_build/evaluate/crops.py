"""Square crops of patches and of label maps: all whole crops, or one random crop per patch, and flips."""

from __future__ import annotations

import torch
from torch import Tensor

from spectralearth_build.overlap.lattice import WINDOW


def tiles(size: int) -> Tensor:
    """Return the corners of all whole crops of a patch, side by side in row order, with equal margins.

    Args:
        size: edge of a crop in pixels.

    Returns:
        int64 [crop, 2]: line, column.
    """
    count = WINDOW // size
    start = (WINDOW - count * size) // 2
    line = start + size * torch.arange(count)
    return torch.cartesian_prod(line, line).reshape(-1, 2)


def at_random(count: int, size: int, draw: torch.Generator) -> Tensor:
    """Return the corner of one random crop per patch: int64 [count, 2]."""
    return torch.randint(WINDOW - size + 1, (count, 2), generator=draw)


def cut(images: Tensor, corners: Tensor, size: int) -> Tensor:
    """Cut one crop from each image.

    Args:
        images: [batch, ..., y, x]; batch is that of ``corners``, or 1 to cut all crops from one image.
        corners: int64 [batch, 2], line and column.
        size: edge of a crop.

    Returns:
        [batch, ..., size, size].
    """
    if size == images.shape[-1]:
        return images
    images = images.expand(len(corners), *images.shape[1:])
    parts = [
        image[..., line : line + size, col : col + size]
        for image, (line, col) in zip(images, corners.tolist(), strict=True)
    ]
    return torch.stack(parts)


def all_of(images: Tensor, size: int) -> Tensor:
    """Cut all whole crops from each image: [batch, ..., y, x] to [batch * crops, ..., size, size], image by image."""
    if size == images.shape[-1]:
        return images
    corners = tiles(size)
    return torch.cat([cut(image[None], corners, size) for image in images])


def flip(images: Tensor, flips: Tensor) -> Tensor:
    """Flip lines where ``flips[:, 0]`` is true, and columns where ``flips[:, 1]`` is.

    Args:
        images: [batch, ..., y, x].
        flips: bool [batch, 2], on the device of the images.
    """
    for axis in (0, 1):
        turned = flips[:, axis].view(-1, *(1 for _ in images.shape[1:]))
        images = torch.where(turned, images.flip(images.ndim - 2 + axis), images)
    return images
