"""Masked autoencoder (arXiv 2111.06377): predict the pixels of hidden patches from the visible tenth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spectralearth_build.pretrain.augment import augment
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.encoders.attention import (
    TransformerBlock,
    initialise,
    pick,
    sine_cosine,
    to_patches,
)
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.base import Objective, one_of
from spectralearth_build.pretrain.objectives.losses import masked_error
from spectralearth_build.pretrain.recipes import MaeConfig
from spectralearth_build.pretrain.sending import sent


class Mae(Objective):
    """MAE on a spectral ViT. The adapter processes visible pixels only.

    Args:
        encoder: a `SpectralViT`.
        config: the recipe.

    Raises:
        TypeError: The encoder is not a ViT. Only a ViT can leave out patches.
    """

    encoder: SpectralViT
    places: Tensor

    def __init__(self, encoder: Encoder, config: MaeConfig | None = None) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, SpectralViT):
            raise TypeError(
                "MAE needs a ViT encoder (vit_s, vit_b, ...): other encoders cannot leave out patches."
            )
        self.config = config = config or MaeConfig()
        values = encoder.adapter.bands * encoder.patch**2
        self.bridge = nn.Linear(encoder.dim, config.dim)
        self.hidden = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.blocks = nn.ModuleList(TransformerBlock(config.dim, config.heads) for _ in range(config.depth))
        self.norm, self.predict = nn.LayerNorm(config.dim, eps=1e-6), nn.Linear(config.dim, values)
        for module in (self.bridge, self.blocks, self.predict):
            initialise(module)
        nn.init.normal_(self.hidden, std=0.02)
        self.register_buffer("places", sine_cosine(encoder.grid, config.dim), persistent=False)

    def forward(self, series: Tensor, places: Tensor, draw: torch.Generator) -> Tensor:
        """See `Objective.forward`. If there are two dates, each sample uses a random one."""
        with torch.no_grad():
            image = augment(one_of(series, draw), self.config.views, draw)
        return self.loss(image, draw)

    def loss(self, image: Tensor, draw: torch.Generator) -> Tensor:
        """Return the loss of images [batch, band, y, x], with a random mask."""
        visible, hidden = (
            sent(each, image.device)
            for each in partition(len(image), len(self.places) - 1, self.config.mask, draw)
        )
        return self.loss_of(image, visible, hidden)

    def loss_of(self, image: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Return the loss for a given mask: int [batch, patch] each, which together number each patch once.

        Raises:
            ValueError: The images do not have the size that the encoder was made for.
        """
        self.encoder.require_own_grid(image)
        if self.config.official:
            cut = to_patches(self.encoder.adapter(image), self.encoder.patch)
            tokens = self.encoder.encode(pick(cut, visible), visible)
        else:
            tokens = self.encoder.tokens(image, visible)
        self.seen = self.encoder.pooled(tokens).detach()
        target = pick(to_patches(image, self.encoder.patch), hidden)
        return masked_error(self.decode(tokens, visible, hidden), target.flatten(2), self.config.normalised)

    def decode(self, tokens: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """Predict hidden patches.

        Args:
            tokens: output of the encoder, [batch, 1 + visible, dim].
            visible: indices of the visible patches.
            hidden: indices of the hidden patches.

        Returns:
            [batch, hidden, band * pixel], with bands as the outer dimension.
        """
        narrow = self.bridge(tokens)
        place = self.places[1 + torch.cat([visible, hidden], 1)]
        masks = self.hidden.to(narrow.dtype).expand(len(tokens), hidden.shape[1], -1)
        out = torch.cat([narrow[:, :1] + self.places[0], torch.cat([narrow[:, 1:], masks], 1) + place], 1)
        for block in self.blocks:
            out = block(out)
        predicted: Tensor = self.predict(self.norm(out[:, -hidden.shape[1] :]))
        return predicted


def partition(batch: int, patches: int, mask: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw visible and hidden patches of each image at random: int64 [batch, visible] and [batch, hidden]."""
    order = torch.rand(batch, patches, generator=draw).argsort(1)
    visible = max(1, int(patches * (1 - mask)))
    return order[:, :visible], order[:, visible:]
