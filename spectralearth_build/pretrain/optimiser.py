"""The optimiser, and its learning rate at each step."""

from __future__ import annotations

import torch
from torch import nn

from spectralearth_build.pretrain.rate_schedule import by_epoch, cosine, stairs
from spectralearth_build.pretrain.training_config import ObjectiveRecipe


def optimiser_of(network: nn.Module, recipe: ObjectiveRecipe) -> torch.optim.Optimizer:
    """Make the optimiser. Weight decay does not apply to biases and normalisation layers, unless the recipe says so."""
    trained = [value for value in network.parameters() if value.requires_grad]
    rest = recipe.weight_decay if recipe.decay_all else 0.0
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": rest},
    ]
    fused = all(value.is_cuda for value in trained)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, recipe.rate, momentum=0.9, fused=fused)
    return torch.optim.AdamW(groups, recipe.rate, fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, recipe: ObjectiveRecipe, step: int, total: int) -> float:
    """Set the learning rate of a step, and return it."""
    if recipe.by_epoch:
        epoch = step * recipe.epochs // total
        rate = by_epoch(epoch, recipe.epochs, recipe.rate, warmup=recipe.warmup, drops=recipe.drops)
    elif recipe.drops:
        rate = stairs(step, total, recipe.rate, recipe.drops)
    else:
        rate = cosine(step, total, recipe.rate, 0.0, round(recipe.warmup * total))
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate
