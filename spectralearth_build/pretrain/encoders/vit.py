"""Spectral ViT S, B, L, H and g: the spectral adapter, then a vision transformer on its 128 channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.encoders.adapter import CHANNELS, SpectralAdapter
from spectralearth_build.pretrain.encoders.attention import (
    TransformerBlock,
    initialise,
    pick,
    sine_cosine,
    to_patches,
)
from spectralearth_build.pretrain.encoders.encoder import Encoder

SIZES = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16), "h": (1280, 32, 16), "g": (1536, 40, 24)}
"""Width, depth and number of heads. With patches of 4 pixels: 22.5, 87.5, 305, 634 and 1,138 million parameters."""

POOLS = ("token", "mean")


class SpectralViT(Encoder):
    """A vision transformer on the channels of the adapter, with a class token and learned position embeddings.

    Args:
        bands: number of bands, 75 or more.
        size: s, b, l, h or g, or (width, depth, heads).
        patch: edge of a patch in pixels: 4, 8, 16 or 32.
        image: edge of the images that the position embeddings are made for. For other sizes they are interpolated.
        pool: the feature vector of an image: the class "token", or the "mean" of its patch tokens.

    Raises:
        ValueError: There are too few bands, the patch does not divide the image, or the pooling is unknown.
    """

    def __init__(
        self,
        bands: int,
        size: str | tuple[int, int, int] = "s",
        patch: int = 4,
        image: int = WINDOW,
        pool: str = "token",
    ) -> None:
        super().__init__()
        if image % patch:
            raise ValueError(
                f"The image size must be a multiple of the patch size, got {image} and {patch} pixels."
            )
        if pool not in POOLS:
            raise ValueError(f"A ViT pools by {' or '.join(POOLS)}, not '{pool}'.")
        self.pool = pool
        self.dim, depth, heads = SIZES[size] if isinstance(size, str) else size
        self.patch = self.stride = self.multiple = patch
        self.levels = ((self.dim, patch),)
        self.grid = image // patch
        self.adapter = SpectralAdapter(bands)
        self.embed = nn.Linear(CHANNELS * patch * patch, self.dim)
        self.token = nn.Parameter(torch.zeros(1, 1, self.dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + self.grid**2, self.dim))
        self.blocks = nn.ModuleList(TransformerBlock(self.dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(self.dim, eps=1e-6)
        initialise(self.embed)
        initialise(self.blocks)
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def fix_positions(self) -> None:
        """Set the position embeddings to sines and cosines, and keep them from being trained."""
        self.positions.requires_grad_(False).copy_(sine_cosine(self.grid, self.dim)[None])

    def tokens(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """Encode an image, or only some of its patches.

        Pixels of other patches are dropped before the adapter, because it takes most of the work and its batch
        statistics must not include masked pixels.

        Args:
            x: standardised [batch, band, y, x].
            visible: [batch, kept], patch indices in row order; None: all.

        Returns:
            [batch, 1 + patches, dim], normalised, class token first.

        Raises:
            ValueError: Only some patches are given, and the image does not have the size of the encoder.
        """
        if visible is None:
            grid = (x.shape[2] // self.patch, x.shape[3] // self.patch)
            return self.encode(to_patches(self.adapter(x), self.patch), None, grid)
        self.require_own_grid(x)
        seen = pick(to_patches(x, self.patch), visible)  # [batch, kept, band, pixel]
        batch, kept, bands, pixels = seen.shape
        adapted = self.adapter(seen.transpose(1, 2).reshape(batch, bands, kept * pixels))
        return self.encode(adapted.view(batch, CHANNELS, kept, pixels).transpose(1, 2), visible)

    def encode(
        self, adapted: Tensor, visible: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """Encode patches of adapted pixels.

        Args:
            adapted: [batch, patch, 128, pixel].
            visible: [batch, patch], patch indices; None: all, in order.
            grid: number of patches along y and x, if not those of the encoder.

        Returns:
            As for `tokens`.
        """
        out = self.embedded(adapted, visible, grid)
        for block in self.blocks:
            out = block(out)
        normed: Tensor = self.norm(out)
        return normed

    def embedded(
        self, adapted: Tensor, visible: Tensor | None = None, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """Return what the first block takes: the embedded patches with their positions, class token first.

        The arguments are those of `encode`. Returns [batch, 1 + patches, dim].
        """
        positions = self.positions_for(grid or (self.grid, self.grid))
        place = positions[:, 1:]
        if visible is not None:
            place = pick(place.expand(adapted.shape[0], -1, -1), visible)
        patches = self.embed(adapted.flatten(2)) + place
        first = (self.token + positions[:, :1]).expand(adapted.shape[0], -1, -1)
        return torch.cat([first, patches], 1)

    def require_own_grid(self, x: Tensor) -> None:
        """Refuse images whose patches are not numbered as the encoder's: numbers beyond the image would wrap round.

        Raises:
            ValueError: The images do not have the size that the encoder was made for.
        """
        edge = self.grid * self.patch
        if x.shape[2:] != (edge, edge):
            raise ValueError(
                f"Patches are numbered for images of {edge} x {edge} pixels, got {x.shape[2]} x {x.shape[3]}."
            )

    def positions_for(self, grid: tuple[int, int]) -> Tensor:
        """Interpolate the position embeddings to another patch grid (bicubic): [1, 1 + patches, dim]."""
        if grid == (self.grid, self.grid):
            return self.positions
        square = self.positions[:, 1:].transpose(1, 2).view(1, self.dim, self.grid, self.grid)
        resized = interpolate(square.float(), grid, mode="bicubic", antialias=True).to(square.dtype)
        return torch.cat([self.positions[:, :1], resized.flatten(2).transpose(1, 2)], 1)

    def features(self, x: Tensor) -> Tensor:
        """Map [batch, band, y, x] to feature maps [batch, dim, y / patch, x / patch], without the class token."""
        grid = (x.shape[2] // self.patch, x.shape[3] // self.patch)
        return self.tokens(x)[:, 1:].transpose(1, 2).reshape(x.shape[0], self.dim, *grid)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return only `features`, since every block has the same resolution."""
        return [self.features(x)]

    def forward(self, x: Tensor) -> Tensor:
        """Map images [batch, band, y, x] to vectors [batch, dim]."""
        return self.pooled(self.tokens(x))

    def pooled(self, tokens: Tensor) -> Tensor:
        """Pool tokens of some patches of an image to a vector [batch, dim]."""
        return tokens[:, 0] if self.pool == "token" else tokens[:, 1:].mean(1)
