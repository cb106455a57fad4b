"""Checkpoints: networks as safetensors, and the rest of the state as a small file without code.

A checkpoint is a folder that appears by one rename, so it is always complete. The newest two are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.faults import fault_of
from spectralearth_build.files import PARTIAL, move, replacing, write_bytes
from spectralearth_build.layout import MANIFEST, TILES
from spectralearth_build.texts import changes, listed

NETWORKS, STATE = "networks.safetensors", "state.pt"
SETTINGS = "settings.json"
OTHERS = ("encoder.safetensors", "log.csv", MANIFEST, TILES)
"""Files of a finished run or a dataset. A new run refuses a folder that contains one of them."""
KEPT = 2


def save(folder: Path, step: int, networks: nn.Module, state: dict[str, Any]) -> Path:
    """Write a checkpoint.

    Args:
        folder: folder of the checkpoints.
        step: number of finished steps.
        networks: all modules with tensors to save: parameters, statistics, queue, centre.
        state: state of the optimiser, random generators and loader, made of tensors, numbers, text, lists and
            dictionaries.

    Returns:
        The folder of the checkpoint.

    Raises:
        OutOfSpaceError: The disk is full. Existing checkpoints stay.
    """
    target = folder / f"step-{step:09d}"
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with replacing(partial / NETWORKS) as temporary:
            save_file(tensors_of(networks), temporary)
        with replacing(partial / STATE) as temporary, temporary.open("wb") as file:
            torch.save(state, file)  # with a path instead, errors would not say why writing failed
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    move(partial, target)
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old)
    return target


def found(folder: Path) -> list[Path]:
    """Return all complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix != PARTIAL)


def restore(paths: list[Path], networks: nn.Module) -> tuple[Path, dict[str, Any]]:
    """Load the newest readable checkpoint into ``networks``.

    Args:
        paths: checkpoints, oldest first; at least one.
        networks: all modules with tensors to load.

    Returns:
        The checkpoint, and the rest of the state.

    Raises:
        UsageError: No checkpoint can be read, or it belongs to another run.
        MachineError, ArchiveError: This machine failed to read it.
    """
    torn = []
    for path in reversed(paths):
        try:
            tensors = load_file(path / NETWORKS)
            state: dict[str, Any] = torch.load(path / STATE, map_location="cpu", weights_only=True)
        except Exception as error:  # safetensors and torch raise various exceptions
            if fault := fault_of(error, path):
                raise fault from error
            torn.append(f"{path.name}: {type(error).__name__}")
            continue
        try:
            networks.load_state_dict(tensors)
        except RuntimeError as error:
            remedy = "Use the settings of the checkpoint, or give a new folder."
            raise UsageError(f"The checkpoint does not fit the settings: {error}.", path, remedy) from error
        return path, state
    raise UsageError(
        f"No checkpoint can be read ({', '.join(torn)}).",
        paths[-1].parent,
        "Delete them to start from the beginning.",
    )


def tensors_of(networks: nn.Module) -> dict[str, Tensor]:
    """Return the state of networks, with separate memory for each tensor."""
    return {name: value.detach().cpu().contiguous() for name, value in networks.state_dict().items()}


def note_settings(folder: Path, document: dict[str, Any]) -> None:
    """Save the settings that a run starts with."""
    path = folder / SETTINGS
    if not path.is_file():
        write_bytes(path, json.dumps(document, indent=1, sort_keys=True).encode())


def noted_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings that the run in a folder was started with; None if there is no run.

    Raises:
        UsageError: The file is not one of settings.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return None
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(document[section], dict) for section in ("data", "encoder", "train")):
            return document
    except (KeyError, TypeError, ValueError):
        pass
    raise UsageError("This file has no settings of a run.", path, "Give a new folder for the run.")


def refuse_other_settings(
    folder: Path, document: dict[str, Any], as_before: Mapping[str, Any] | None = None
) -> None:
    """Compare settings with those of the run in the folder, if there is one.

    Args:
        folder: folder of the run.
        document: the settings.
        as_before: values of settings, by their dotted keys, that runs had before there were these settings.

    Raises:
        UsageError: Settings differ (the message lists them), or the folder contains files of something else.
    """
    before = noted_settings(folder)
    if before is None:
        if any((folder / name).exists() for name in OTHERS) or found(folder / "checkpoints"):
            raise UsageError(
                f"The folder has no {SETTINGS}, but files of something else.",
                folder,
                "Give a new folder for the run.",
            )
        return
    for key, value in (as_before or {}).items():
        section, _, name = key.partition(".")
        if section in before:
            before[section].setdefault(name, value)
    changed = [
        line
        for line in changes(before, json.loads(json.dumps(document)))
        if line.partition(":")[0]
        not in ("train.device", "train.log_steps", "train.checkpoint_steps", "data.threads")
    ]
    if changed:
        remedy = "Use the old settings, or give a new folder."
        raise UsageError(f"The run was started with other settings:{listed(changed)}", folder, remedy)
