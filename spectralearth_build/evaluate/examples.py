"""Example predictions: a few test patches with image, truth and prediction, the same in all evaluations of a task."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spectralearth_build.evaluate.crops import cut, tiles
from spectralearth_build.evaluate.data import LabelledPart
from spectralearth_build.evaluate.result import PREDICTIONS
from spectralearth_build.evaluate.stream import Reading
from spectralearth_build.evaluate.task_config import Task
from spectralearth_build.evaluate.train import Answer
from spectralearth_build.files import replacing
from spectralearth_build.labels.classes import IGNORE

COUNT = 8
RGB_NM = (640.0, 550.0, 460.0)
"""Wavelengths of red, green and blue."""


def write_examples(
    folder: Path,
    part: LabelledPart,
    reading: Reading,
    answer: Answer,
    nm: tuple[float, ...],
    task: Task,
    threshold: float,
) -> None:
    """Write ``predictions.npz``.

    It contains ``patch_id``, ``rgb`` uint8 [n, size, size, 3], ``truth`` and ``prediction``. The latter two are class
    indices uint8 [n, size, size] (255: none) for segmentation, bool [n, class] for multilabel, and int64 [n] for
    single.

    Args:
        folder: folder to write to.
        part: the test part.
        reading: how to read pixels.
        answer: maps stored values to scores.
        nm: wavelengths of the bands.
        task: the task, which defines the meaning of scores.
        threshold: for multilabel: a class is predicted if its score is above this.
    """
    at = picked(part)
    patches = part.patches.iloc[at.tolist()]
    middle = tiles(part.size)[[len(tiles(part.size)) // 2]].expand(len(at), 2)
    batch = next(iter(reading.of(patches, len(at), shuffle=False)))
    counts = cut(batch["pixels"], middle, part.size)
    truth, _ = part.crop(at, middle)
    with torch.no_grad():
        scores = answer(counts.to(reading.device))
    held = {
        "patch_id": patches["patch_id"].to_numpy(str),
        "rgb": np.stack([colours(each, nm) for each in counts.numpy()]),
        "truth": truth.numpy(),
        "prediction": decided(scores, task, threshold).cpu().numpy(),
    }
    with replacing(folder / PREDICTIONS) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **held)


def picked(part: LabelledPart) -> Tensor:
    """Return positions of the patches with most classes, one per location. Ties are broken by a hash of the name."""
    truth, _ = part.every(torch.arange(len(part)))
    truth = truth.view(len(part), -1)
    if truth.dtype == torch.bool:
        rich = truth.sum(1).tolist()
    else:
        rich = [len(set(each.unique().tolist()) - {IGNORE}) for each in truth]
    names = part.patches["patch_id"].tolist()
    order = sorted(range(len(part)), key=lambda i: (-rich[i], hashlib.blake2b(names[i].encode()).digest()))
    seen: set[str] = set()
    chosen: list[int] = []
    for i in order:
        place = str(part.patches["location_id"].iloc[i])
        if place not in seen and len(chosen) < COUNT:
            chosen.append(i)
            seen.add(place)
    return torch.tensor(chosen)


def decided(scores: Tensor, task: Task, threshold: float) -> Tensor:
    """Convert scores to predicted classes."""
    if task == "multilabel":
        return scores > threshold
    return scores.argmax(1).to(torch.uint8 if task == "segmentation" else torch.int64)


def colours(counts: npt.NDArray[np.int16], nm: tuple[float, ...]) -> npt.NDArray[np.uint8]:
    """Return an RGB image of a patch, uint8 [y, x, 3], stretched from the 2nd to the 98th percentile.

    Args:
        counts: int16 [band, y, x].
        nm: wavelengths of the bands.
    """
    bands = [int(np.argmin(np.abs(np.asarray(nm) - wanted))) for wanted in RGB_NM]
    image = counts[bands].astype(np.float32)
    low, high = np.percentile(image, (2, 98))
    stretched = np.clip((image - low) / max(float(high - low), 1.0), 0, 1)
    return np.asarray((255 * stretched).round().astype(np.uint8).transpose(1, 2, 0))
