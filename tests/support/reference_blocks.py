"""Weights of transformers' blocks under our names."""

import torch

NAMES = {
    "attention.out": "attention.o_proj",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}


def block(state: dict, prefix: str) -> dict:
    """One transformer block of a ViTMAE or Swin model."""
    out = {
        f"{new}.{kind}": state[f"{prefix}.{old}.{kind}"]
        for new, old in NAMES.items()
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        parts = [state[f"{prefix}.attention.{part}_proj.{kind}"] for part in "qkv"]
        out[f"attention.qkv.{kind}"] = torch.cat(parts)
    return out
