"""The optimiser, and its learning rate at each step."""

from __future__ import annotations

import torch
from torch import nn

from spectralearth_build.pretrain.rate_schedule import cosine, stairs
from spectralearth_build.pretrain.training_config import ObjectiveRecipe


def optimiser_of(network: nn.Module, recipe: ObjectiveRecipe) -> torch.optim.Optimizer:
    """Make the optimiser. Weight decay does not apply to biases and normalisation layers."""
    trained = [value for value in network.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = all(value.is_cuda for value in trained)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.rate, momentum=0.9, fused=fused)
    return torch.optim.AdamW(groups, recipe.rate, fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, recipe: ObjectiveRecipe, step: int, total: int) -> float:
    """Set the learning rate of a step, and return it."""
    if recipe.drops:
        rate = stairs(step, total, recipe.rate, recipe.drops)
    else:
        rate = cosine(step, total, recipe.rate, 0.0, round(recipe.warmup * total))
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate
