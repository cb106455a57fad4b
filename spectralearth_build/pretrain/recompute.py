"""Activation checkpointing: parts of a network keep no intermediate results, and compute them again for the gradient.

This trades arithmetic for memory. Outputs, gradients and running statistics stay the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.encoders.adapter import SpectralAdapter
from spectralearth_build.pretrain.encoders.attention import TransformerBlock
from spectralearth_build.pretrain.encoders.resnet import ResidualBlock
from spectralearth_build.pretrain.encoders.swin import SwinBlock

Parts = Literal["none", "adapter", "all"]
KINDS: dict[Parts, tuple[type[nn.Module], ...]] = {
    "none": (),
    "adapter": (SpectralAdapter,),
    "all": (SpectralAdapter, TransformerBlock, ResidualBlock, SwinBlock),
}
"""The modules that compute their intermediate results again."""


def parts_of(text: str) -> Parts:
    """Return the parts that a text names.

    Raises:
        UsageError: It names none.
    """
    for parts in KINDS:
        if parts == text:
            return parts
    raise UsageError(
        f"Nothing to compute again is called '{text}'.", remedy=f"Use one of: {', '.join(KINDS)}."
    )


def recompute(network: nn.Module, parts: Parts) -> int:
    """Make parts of a network compute their intermediate results again, and return the number of such modules.

    Modules that are not trained (moving averages of others) stay as they are: they keep nothing anyway.
    """
    chosen = [
        module
        for module in network.modules()
        if isinstance(module, KINDS[parts]) and any(value.requires_grad for value in module.parameters())
    ]
    for module in chosen:
        module.forward = partial(_checkpointed, module, module.forward)
    return len(chosen)


def _checkpointed(module: nn.Module, forward: Any, *inputs: Any) -> Any:  # noqa: ANN401
    if not module.training:
        return forward(*inputs)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=partial(_contexts, module))


def _contexts(module: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the first and the second computation."""
    return nullcontext(), _still(module)


@contextmanager
def _still(module: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalisations: the first computation has updated them."""
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)
