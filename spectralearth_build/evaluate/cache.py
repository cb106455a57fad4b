"""Features of a frozen encoder, computed once: in memory, and in a folder that evaluations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spectralearth_build.evaluate.crops import all_of, tiles
from spectralearth_build.evaluate.protocol import Model
from spectralearth_build.evaluate.stream import Reading, patches_of
from spectralearth_build.files import replacing
from spectralearth_build.loader import Loader
from spectralearth_build.progress import track

ROWS = "rows"


def features(
    model: Model,
    patches: pd.DataFrame,
    size: int,
    reading: Reading,
    half: bool,
    most: float,
    file: Path | None,
) -> list[Tensor] | None:
    """Return the head input for all whole crops of patches, each computed once.

    Args:
        model: a model with a frozen encoder.
        patches: rows of ``dataset.patches``.
        size: edge of the crops in pixels.
        reading: how to read pixels.
        half: whether to compute and keep features in bfloat16.
        most: maximum size in bytes. If features need more, none are kept.
        file: cache file, to which features of new patches are added; None: no file.

    Returns:
        [patch, crop, ...] each, on the device, in the order of ``patches``; None if they need too much memory.
    """
    rows = patches["store_row"].to_numpy(np.int64)
    known, held = _read(file)
    missing = patches[~np.isin(rows, known)]
    if len(missing):
        new = _computed(
            model, missing, size=size, reading=reading, half=half, most=most * len(missing) / len(patches)
        )
        if new is None:
            return None
        known = np.concatenate([known, missing["store_row"].to_numpy(np.int64)])
        held = [torch.cat([old, each.cpu()]) for old, each in zip(held, new, strict=True)] if held else new
        if file is not None and sum(each.nbytes for each in held) <= most:
            _write(file, known, held)
    if sum(each[:1].nbytes for each in held) * len(rows) > most:
        return None
    if np.array_equal(known, rows):
        return [each.to(reading.device) for each in held]
    by_row = np.argsort(known)
    place = torch.from_numpy(by_row[np.searchsorted(known, rows, sorter=by_row)])
    return [each[place.to(each.device)].to(reading.device) for each in held]


def _computed(
    model: Model, patches: pd.DataFrame, size: int, reading: Reading, half: bool, most: float
) -> list[Tensor] | None:
    """Compute features of all patches on the device, [patch, crop, ...]; None if they need more than ``most`` bytes."""
    count = min(len(patches), patches_of(reading.batch, len(tiles(size))))
    loader = reading.of(patches, count, shuffle=False)
    held: list[Tensor] = []
    done = 0
    for maps in track(_seen(model, loader, size, half, reading.device), "features", len(loader)):
        if not held:
            if sum(each[:1].nbytes for each in maps) * len(patches) > most:
                return None
            held = [each.new_empty(len(patches), *each.shape[1:]) for each in maps]
        for whole, some in zip(held, maps, strict=True):
            whole[done : done + len(some)] = some
        done += len(maps[0])
    return held


def _seen(
    model: Model, loader: Loader, size: int, half: bool, device: torch.device
) -> Iterator[list[Tensor]]:
    model.eval()
    kind, crops = torch.bfloat16 if half else torch.float32, len(tiles(size))
    for batch in loader:
        counts = all_of(batch["pixels"].to(device), size)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            seen = model.see(counts)
        yield [each.to(kind).reshape(-1, crops, *each.shape[1:]) for each in seen]


def _read(file: Path | None) -> tuple[npt.NDArray[np.int64], list[Tensor]]:
    """Read store rows and their features. Returns nothing if the file is missing or damaged."""
    empty = np.empty(0, np.int64)
    if file is None or not file.is_file():
        return empty, []
    try:
        held = load_file(file)
    except (OSError, SafetensorError):
        return empty, []
    rows = held.pop(ROWS).numpy()
    return rows, [held[str(level)] for level in range(len(held))]


def _write(file: Path, rows: npt.NDArray[np.int64], held: list[Tensor]) -> None:
    tensors = {str(level): each.cpu().contiguous() for level, each in enumerate(held)}
    with replacing(file) as temporary:
        save_file({ROWS: torch.from_numpy(rows), **tensors}, temporary)
