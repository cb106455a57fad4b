"""How files hold a network of SpectralEarth: alone, or nested in a checkpoint of their training with Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.published.names import ADAPTER, standard_name
from spectralearth_build.texts import listed

FIRST = f"{ADAPTER}0.weight"
"""A weight of every network."""


@dataclass(frozen=True)
class Layout:
    """Where the networks are in a kind of file."""

    objective: str = ""
    """The pretraining that writes such files; empty: not known."""
    networks: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    """Prefix of each network by its name; the first is the default."""
    others: tuple[str, ...] = ()
    """Prefixes of what is not part of an encoder."""

    def choose(self, network: str, path: Path) -> str:
        """Return the prefix of a network; of the first if no name is given.

        Raises:
            UsageError: There is no such network.
        """
        if not network:
            return next(iter(self.networks.values()))
        if network not in self.networks:
            known = " and ".join(name for name in self.networks if name) or "one network without a name"
            raise UsageError(
                f"The file has no network '{network}'; it has {known}.",
                path,
                "Leave out --network, or correct it.",
            )
        return self.networks[network]


_SHARED = ("criterion.", "augmentation")
LAYOUTS = (
    Layout(),
    Layout(
        "moco",
        {"query": "backbone.", "key": "backbone_momentum."},
        (*_SHARED, "projection_head.", "projection_head_momentum."),
    ),
    Layout(
        "dino",
        {"teacher": "teacher_backbone.", "student": "student_backbone."},
        (*_SHARED, "teacher_head.", "student_head."),
    ),
    Layout("mae", {"encoder": "encoder.vit."}, (*_SHARED, "encoder.mask_token", "decoder.")),
    Layout("mae", {"encoder": "vit."}, ("mask_token",)),
)
"""SpectralEarth evaluates the teacher of DINO and the query encoder of MoCo, so these come first."""


def network_in(tensors: Mapping[str, Tensor], network: str, path: Path) -> tuple[str, str, dict[str, Tensor]]:
    """Find a network among the tensors of a file.

    Args:
        tensors: the tensors of the file.
        network: name of the network, if the file has several; empty: the default.
        path: the file, for messages.

    Returns:
        Its objective and its name, if known, and its tensors under SpectralEarth's names.

    Raises:
        UsageError: There is no such network, or the file has tensors that are not known.
    """
    layout = next((each for each in LAYOUTS if _fits(each, tensors)), None)
    if layout is None:
        what = f"No network of SpectralEarth was found, which has a tensor {FIRST}. The file has:"
        raise UsageError(
            f"{what}{listed(list(tensors), most=8)}",
            path,
            "Use weights of SpecResNet50 or SpecVisionTransformer.",
        )
    prefix = layout.choose(network, path)
    own = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    known = (*layout.networks.values(), *layout.others)
    if strange := [name for name in tensors if not name.startswith(known)]:
        what = f"A checkpoint of {layout.objective} has no such tensors:{listed(strange, most=8)}"
        raise UsageError(what, path, "Use the checkpoint as SpectralEarth's code wrote it.")
    chosen = next(name for name, its in layout.networks.items() if its == prefix)
    return (
        layout.objective,
        chosen,
        _united({name.removeprefix(prefix): value for name, value in own.items()}, path),
    )


def _fits(layout: Layout, tensors: Mapping[str, Tensor]) -> bool:
    first = next(iter(layout.networks.values()))
    return any(standard_name(name.removeprefix(first)) == FIRST for name in tensors if name.startswith(first))


def _united(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return each tensor once, under its standard name.

    Raises:
        UsageError: Two names of one tensor have different values.
    """
    found: dict[str, Tensor] = {}
    different = []
    for name, value in tensors.items():
        standard = standard_name(name)
        if not torch.equal(found.setdefault(standard, value), value):
            different.append(f"{name} is not {standard}")
    if different:
        what = f"Names of the same tensor have different values:{listed(different, most=8)}"
        raise UsageError(what, path, "Use the file as SpectralEarth's code wrote it.")
    return found
