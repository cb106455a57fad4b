"""Swin-T on the channels of the adapter (Liu et al., arXiv 2103.14030): attention in shifted windows, four scales."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from spectralearth_build.pretrain.encoders.adapter import CHANNELS, SpectralAdapter
from spectralearth_build.pretrain.encoders.attention import Attention, to_patches
from spectralearth_build.pretrain.encoders.encoder import Encoder

WIDTH, DEPTHS, HEADS, EDGE = 96, (2, 2, 6, 2), (3, 6, 12, 24), 7


def windows(x: Tensor, edge: int) -> Tensor:
    """Cut [batch, y, x, dim] into windows [batch * windows, edge * edge, dim]; y and x are multiples of ``edge``."""
    batch, height, width, dim = x.shape
    cut = x.view(batch, height // edge, edge, width // edge, edge, dim)
    return cut.transpose(2, 3).reshape(-1, edge * edge, dim)


def unwindows(x: Tensor, edge: int, height: int, width: int) -> Tensor:
    """Undo `windows`: return [batch, height, width, dim]."""
    cut = x.view(-1, height // edge, width // edge, edge, edge, x.shape[-1])
    return cut.transpose(2, 3).reshape(-1, height, width, x.shape[-1])


@lru_cache(maxsize=64)
def barrier(height: int, width: int, edge: int, shift: int, device: torch.device) -> Tensor:
    """Return an attention mask for pixels that only the cyclic shift joined: [windows, 1, token, token], 0 or -100."""
    lines = torch.arange(height, device=device), torch.arange(width, device=device)
    zone = [
        (at >= size - edge).int() + (at >= size - shift).int()
        for at, size in zip(lines, (height, width), strict=True)
    ]
    label = windows((3 * zone[0][:, None] + zone[1])[None, :, :, None].float(), edge).squeeze(2)
    return (label[:, None, :, None] != label[:, None, None, :]).float() * -100.0


class SwinBlock(nn.Module):
    """Attention within windows, which every other block shifts by half a window, then an MLP.

    Args:
        dim: number of channels.
        heads: number of attention heads.
        shifted: whether to shift the windows.
    """

    relative: Tensor

    def __init__(self, dim: int, heads: int, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.bias = nn.Parameter(torch.zeros((2 * EDGE - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        at = torch.stack(torch.meshgrid(torch.arange(EDGE), torch.arange(EDGE), indexing="ij")).flatten(1)
        step = at[:, :, None] - at[:, None] + EDGE - 1
        self.register_buffer("relative", step[0] * (2 * EDGE - 1) + step[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform [batch, y, x, dim]."""
        x = x + self._attend(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        full = [-(-size // EDGE) * EDGE for size in (height, width)]
        x = pad(x, (0, 0, 0, full[1] - width, 0, full[0] - height))
        # A map of one window needs no shift.
        shift = EDGE // 2 if self.shifted and min(height, width) > EDGE else 0
        bias = self.bias[self.relative].permute(2, 0, 1)[None]
        if shift:
            x = x.roll((-shift, -shift), (1, 2))
            bias = bias + barrier(full[0], full[1], EDGE, shift, x.device)
        mixed = self.attention(windows(x, EDGE), bias.to(x.dtype))
        x = unwindows(mixed, EDGE, *full)
        if shift:
            x = x.roll((shift, shift), (1, 2))
        return x[:, :height, :width]


class Merge(nn.Module):
    """Patch merging: half the resolution, twice the channels, by a linear layer on four concatenated neighbours.

    Args:
        dim: number of input channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, y, x, dim] to [batch, y / 2, x / 2, 2 dim]."""
        x = pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        out: Tensor = self.reduce(self.norm(torch.cat(corners, -1)))
        return out


class SpectralSwin(Encoder):
    """Swin-T: 96 channels, stages of 2, 2, 6, 2 blocks, windows of 7, patches of 4.

    Args:
        bands: number of bands, 75 or more.

    Raises:
        ValueError: There are too few bands.
    """

    stride = 32
    multiple = 4
    dim = 8 * WIDTH
    levels = ((CHANNELS, 1), *((WIDTH << stage, 4 << stage) for stage in range(4)))

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.adapter = SpectralAdapter(bands)
        self.embed, self.embed_norm = nn.Linear(16 * CHANNELS, WIDTH), nn.LayerNorm(WIDTH)
        self.stages, self.merges = nn.ModuleList(), nn.ModuleList()
        for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
            dim = WIDTH << stage
            self.merges.append(Merge(dim // 2) if stage else nn.Identity())
            self.stages.append(nn.Sequential(*(SwinBlock(dim, heads, i % 2 == 1) for i in range(depth))))
        self.norm = nn.LayerNorm(self.dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return maps of the adapter and the four stages, [batch, channel, y, x] at strides 1, 4, 8, 16, 32."""
        height, width = x.shape[2] // 4, x.shape[3] // 4
        adapted = self.adapter(x)
        out = self.embed_norm(self.embed(to_patches(adapted, 4).flatten(2)))
        out = out.unflatten(1, (height, width))
        maps = []
        for merge, stage in zip(self.merges, self.stages, strict=True):
            out = stage(merge(out))
            maps.append(out)
        maps[-1] = self.norm(maps[-1])
        return [adapted, *(each.permute(0, 3, 1, 2) for each in maps)]

    def features(self, x: Tensor) -> Tensor:
        """Map [batch, band, y, x] to maps of the last stage, [batch, 768, y / 32, x / 32]."""
        return self.pyramid(x)[-1]
