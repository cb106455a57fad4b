"""Reading of foreign files of weights: torch files and safetensors. Nothing that a file contains is ever executed."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.texts import listed

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
"""How torch names an object that it refuses."""
_TENSORS_ONLY = (
    "Use a file that contains tensors only. If you trust where it comes from, open it with torch in a program of "
    "your own, and save its state dict alone."
)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def tensors_in(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a torch file or a safetensors file by name. Half precision becomes float32.

    Args:
        path: a state dict, or a checkpoint of Lightning, whose state dict is under ``state_dict``.

    Raises:
        UsageError: The file is neither, is damaged, contains Python objects or code, or a tensor cannot be used.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(9)
    found = _in_safetensors(path) if begin[8:] == b"{" else _in_torch_file(path)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found:
        raise UsageError(
            f"Weights by name were expected, not {_kind(found)}.", path, "Use a state dict or a checkpoint."
        )
    size = path.stat().st_size
    if wrong := [line for name, value in found.items() if (line := _fault(name, value, size))]:
        raise UsageError(f"These are no tensors that weights can be:{listed(wrong)}", path, _TENSORS_ONLY)
    return {
        name: value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in found.items()
    }


def _in_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UsageError(f"The file is damaged: {error}.", path, "Get it again.") from error


def _in_torch_file(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about pickles that it did not write
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever the bytes of a damaged file make of the reader
        if code := _GLOBAL.search(str(error)):
            what = f"The file contains Python objects or code ({code[1]}), which are never loaded."
        else:
            what = "The file is no torch or safetensors file, is damaged, or contains Python code, which is never run."
        raise UsageError(what, path, _TENSORS_ONLY) from error


def _fault(name: object, value: object, most: int) -> str:
    """Say why an entry cannot be a weight; empty if it can.

    Args:
        name: name of the entry.
        value: the entry.
        most: bytes of the file; a tensor that claims more repeats its values.
    """
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return f"{name}: {_kind(value)}"
    if value.is_meta or value.is_nested or value.layout is not torch.strided or value.nbytes > most:
        return f"{name}: a tensor without values of its own"
    if value.dtype not in (*_FLOATS, torch.int64):
        return f"{name}: {str(value.dtype).removeprefix('torch.')}"
    if value.is_floating_point() and not value.isfinite().all():
        return f"{name}: NaN or infinite values"
    return ""


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a dict" if value else "an empty dict"
    return type(value).__name__
