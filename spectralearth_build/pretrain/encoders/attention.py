"""The transformer block of all vision transformers in this package."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        dim: width of a token.
        heads: number of heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Transform [batch, token, dim]. ``bias`` is added to the logits [group, head, token, token].

        The number of groups divides the batch; each run of as many sequences has the biases in turn.
        """
        batch, count, dim = tokens.shape
        q, k, v = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if bias is not None and len(bias) > 1:
            q, k, v = (
                each.unflatten(0, (-1, len(bias))) for each in (q, k, v)
            )  # not a copy of biases for each image
        mixed = scaled_dot_product_attention(q, k, v, bias)
        mixed = mixed.reshape(batch, self.heads, count, -1)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, count, dim))
        return out


class TransformerBlock(nn.Module):
    """A pre-norm transformer block: attention, then an MLP of four times the width.

    Args:
        dim: width of a token.
        heads: number of heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform [batch, token, dim]."""
        tokens = tokens + self.attention(self.norm1(tokens))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


def initialise(module: nn.Module) -> None:
    """Initialise the linear layers in ``module`` as in MAE: Xavier-uniform weights, zero biases."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            nn.init.xavier_uniform_(each.weight)
            if each.bias is not None:
                nn.init.zeros_(each.bias)


def to_patches(image: Tensor, patch: int) -> Tensor:
    """Cut an image into square patches.

    Args:
        image: [batch, channel, y, x]; y and x are multiples of ``patch``.
        patch: edge of a patch in pixels.

    Returns:
        [batch, patches in row order, channel, pixels of a patch in row order].
    """
    batch, channels, height, width = image.shape
    cut = image.view(batch, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels, patch * patch)


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    """Select rows of [batch, token, ...] by ``index`` [batch, kept]."""
    shape = (*index.shape, *(1 for _ in tokens.shape[2:]))
    return torch.take_along_dim(tokens, index.view(shape), 1)


def sine_cosine(grid: int, dim: int) -> Tensor:
    """Return fixed sine-cosine position embeddings of a square patch grid (arXiv 2111.06377), [1 + grid * grid, dim].

    The first embedding, of the class token, is zero. In the others, the first half encodes the column and the second
    half the line. Each half holds sines, then cosines.
    """
    omega = 10000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * omega
    line = torch.cat([angle.sin(), angle.cos()], 1)
    both = torch.cat([line[None].expand(grid, -1, -1), line[:, None].expand(-1, grid, -1)], 2)
    return torch.cat([torch.zeros(1, dim), both.reshape(-1, dim).float()])
