"""The state of a run on disk: networks as safetensors, the rest as a small file that holds no code.

A checkpoint is a folder that appears by one rename, so there is never half of one. The newest two stay.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.files import PARTIAL, move, replacing, write_bytes
from spectralearth_build.texts import changes, listed

NETWORKS, STATE = "networks.safetensors", "state.pt"
KEPT = 2


def save(folder: Path, step: int, networks: nn.Module, state: dict[str, Any]) -> Path:
    """Write a checkpoint.

    Args:
        folder: where checkpoints lie.
        step: steps done.
        networks: everything with tensors: parameters, statistics, queue, centre.
        state: optimiser, random numbers, position of the loader: tensors, numbers, text, lists and dictionaries.

    Returns:
        The checkpoint's folder.
    """
    target = folder / f"step-{step:09d}"
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    with replacing(partial / NETWORKS) as temporary:
        save_file(tensors_of(networks), temporary)
    with replacing(partial / STATE) as temporary:
        torch.save(state, temporary)
    shutil.rmtree(target, ignore_errors=True)
    move(partial, target)
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old)
    return target


def found(folder: Path) -> list[Path]:
    """All complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != PARTIAL)


def restore(path: Path, networks: nn.Module) -> dict[str, Any]:
    """Read a checkpoint into ``networks``; returns the rest of the state.

    Raises:
        UsageError: it belongs to another run, or is damaged.
    """
    try:
        tensors = load_file(path / NETWORKS)
        networks.load_state_dict(tensors)
        state: dict[str, Any] = torch.load(path / STATE, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors and torch raise various ones
        remedy = "Use the settings it was made with, or delete it to start from the one before."
        raise UsageError(f"The checkpoint does not fit: {error}.", path, remedy) from error
    return state


def tensors_of(networks: nn.Module) -> dict[str, Tensor]:
    """The state of networks, each tensor with memory of its own."""
    return {name: value.detach().cpu().contiguous() for name, value in networks.state_dict().items()}


def settings(folder: Path, document: dict[str, Any]) -> None:
    """Note the settings of a run, or compare them with those that the run was started with.

    Raises:
        UsageError: they differ; the message says in what.
    """
    path, text = folder / "settings.json", json.dumps(document, indent=1, sort_keys=True)
    if not path.is_file():
        write_bytes(path, text.encode())
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        line
        for line in changes(before, json.loads(text))
        if line.partition(":")[0]
        not in ("train.device", "train.log_steps", "train.checkpoint_steps", "data.threads")
    ]
    if changed:
        remedy = "Use the old settings, or choose a new folder."
        raise UsageError(f"The run was started with other settings:{listed(changed)}", folder, remedy)
