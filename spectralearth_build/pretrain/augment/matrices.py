"""Crop, resize, flip and blur as matrices: an image is augmented by ``rows @ image @ cols.T``.

All of these are separable and linear, so any chain of them is one matrix for lines and one for columns. A batch in
which every image has its own chain takes two batched products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def crops(
    count: int, size: int, scale: tuple[float, float], ratio: tuple[float, float], draw: torch.Generator
) -> Tensor:
    """Draw random crops of a square image by area share and aspect ratio, as in Inception.

    Args:
        count: number of crops.
        size: edge of the image, pixels.
        scale: minimum and maximum share of the area.
        ratio: minimum and maximum of width / height; the logarithm is uniform.
        draw: random generator, on the CPU.

    Returns:
        int64 [count, 4]: line, column, height, width. If no crop fits after ten tries, the whole image is used.
    """
    area = size * size * torch.empty(count, 10).uniform_(*scale, generator=draw)
    aspect = torch.empty(count, 10).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=draw).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width <= size) & (height <= size) & (width >= 1) & (height >= 1)
    first = fits.int().argmax(1, keepdim=True)  # the first that fits
    found = fits.any(1)
    height = torch.where(found, height.gather(1, first)[:, 0], size)
    width = torch.where(found, width.gather(1, first)[:, 0], size)
    room = torch.stack([size - height, size - width], 1) + 1
    corner = (torch.rand(count, 2, generator=draw) * room).floor().minimum(room - 1)
    return torch.cat([corner, torch.stack([height, width], 1)], 1).long()


def resize(start: Tensor, length: Tensor, size: int, out: int) -> Tensor:
    """Return matrices that resample a part of a line bilinearly, with a wider kernel if it shrinks (antialiasing).

    Args:
        start: [batch], first pixel of the part.
        length: [batch], length of the part in pixels.
        size: length of the whole line in pixels.
        out: number of output pixels.

    Returns:
        float32 [batch, out, size]; rows sum to 1. Equal to ``interpolate(mode="bilinear", antialias=True)`` of the
        part.
    """
    step = (length / out)[:, None, None]
    reach = step.clamp(min=1.0)
    target = torch.arange(out, device=start.device)[None, :, None]
    source = torch.arange(size, device=start.device)[None, None, :]
    first = start[:, None, None]
    centre = first + (target + 0.5) * step
    weight = (1 - (source + 0.5 - centre).abs() / reach).clamp(min=0)
    inside = (source >= first) & (source < first + length[:, None, None])
    weight = weight * inside
    return weight / weight.sum(2, keepdim=True)


def flip(matrix: Tensor, flipped: Tensor) -> Tensor:
    """Reverse the output order of matrices [batch, out, size] where ``flipped`` [batch] is true."""
    return torch.where(flipped[:, None, None], matrix.flip(1), matrix)


def blur(sigma: Tensor, size: int, kernel: int) -> Tensor:
    """Return matrices that blur a line with a Gaussian, reflected at its ends. The identity where ``sigma`` is 0.

    Args:
        sigma: [batch], standard deviation in pixels.
        size: length of the line in pixels.
        kernel: number of taps, odd.

    Returns:
        float32 [batch, size, size].
    """
    radius = kernel // 2
    tap = torch.arange(-radius, radius + 1, device=sigma.device)
    weight = torch.exp(-0.5 * (tap / sigma.clamp(min=1e-3)[:, None]) ** 2)
    weight = weight / weight.sum(1, keepdim=True)
    source = (torch.arange(size, device=sigma.device)[:, None] + tap).abs()
    source = torch.where(source >= size, 2 * size - 2 - source, source)  # reflect without repeating the edge
    place = torch.nn.functional.one_hot(source, size).to(weight.dtype)  # [line, tap, source]
    return torch.einsum("bt,its->bis", weight, place)


def product(rows: Tensor, images: Tensor, cols: Tensor) -> Tensor:
    """Apply matrices [batch, out, y] and [batch, out, x] to images [batch, channel, y, x].

    Under autocast on a GPU, the products run in float16, not bfloat16: the weights of the matrices need its ten bits of
    mantissa.
    """
    kind = torch.float16 if images.is_cuda else torch.float32
    with torch.autocast(images.device.type, enabled=False):
        half = torch.matmul(rows.to(kind)[:, None], images.to(kind))
        return torch.matmul(half, cols.to(kind)[:, None].transpose(2, 3))
