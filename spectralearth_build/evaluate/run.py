"""One evaluation: from an encoder and labels to figures."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.cell import Cell
from spectralearth_build.evaluate.data import PARTS, LabelledDataset, labelled
from spectralearth_build.evaluate.exposure import JUDGED, Exposure, exposure_of
from spectralearth_build.evaluate.result import Result, read_result
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.memory import keep_memory
from spectralearth_build.pretrain.weights_identity import digest_of
from spectralearth_build.texts import changes, listed

__all__ = ["Result", "evaluate", "read_result"]


def evaluate(
    dataset: str | Path,
    encoder: Path | None,
    config: EvaluateConfig,
    folder: Path,
    cache: Path | None = None,
) -> Result:
    """Evaluate an encoder on a label set. An existing result of the same settings is returned.

    Args:
        dataset: folder or URL of a dataset with splits and labels.
        encoder: file of weights, as for `load_encoder`; None: random weights of ``config.encoder``. Protocol scratch
            uses the architecture of the file with new weights.
        config: the settings.
        folder: folder for result.json and predictions.npz.
        cache: folder of cached features of frozen encoders, which evaluations share. None: no cache.

    Returns:
        The result, with test figures of the epoch that was best on val.

    Raises:
        UsageError: Dataset, labels, splits and encoder do not fit together, the encoder was trained on ground of val or
            test, or the folder contains another result.
        StoppedError: A signal arrived. There is no result.
    """
    begin = time.perf_counter()
    data = labelled(dataset, config)
    exposure = _exposure(data, encoder, config)
    settings = settings_of(data, encoder, config)
    before = read_result(folder)
    if before is not None:
        _compare(before.settings, settings, folder)
        return before
    device = torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    keep_memory(device)
    with seeded(config.seed, device):
        found = Cell(data, dataset, encoder, config, device).run(folder, cache)
    notes = [note] if exposure is not None and (note := exposure.note()) else []
    seconds = time.perf_counter() - begin
    result = replace(found, settings=settings, seconds=seconds, notes=found.notes + notes)
    result.write(folder)
    return result


def _exposure(data: LabelledDataset, encoder: Path | None, config: EvaluateConfig) -> Exposure | None:
    """Return what the encoder has seen of val and test; None if no trained weights are used.

    Raises:
        UsageError: It has seen some, and the settings do not allow it.
    """
    if encoder is None or config.protocol == "scratch":
        return None
    found = exposure_of(encoder, {name: data.parts[name].patches["location_id"] for name in JUDGED})
    if not config.allow_seen:
        found.refuse(encoder)
    return found


def settings_of(data: LabelledDataset, encoder: Path | None, config: EvaluateConfig) -> dict[str, Any]:
    """Return everything that determines a result: settings, weights, and the labels of each patch."""
    hashed = hashlib.sha256()
    for name in PARTS:
        part = data.parts[name]
        hashed.update("\n".join([name, *part.patches["patch_id"]]).encode())
        for truth in (part.whole, part.maps):
            hashed.update(b"" if truth is None else truth.numpy().tobytes())
    about = {
        "encoder_sha256": "" if encoder is None else digest_of(encoder),
        "plan": data.plan,
        "classes": [each.name for each in data.classes],
        "labels_sha256": hashed.hexdigest(),
    }
    document: dict[str, Any] = json.loads(json.dumps(config.document() | about))
    return document


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the random numbers of torch within this context, and restore their state afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _compare(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Refuse a folder that contains another result.

    Raises:
        UsageError: The settings differ. The message names them.
    """
    if changed := changes(before, now):
        remedy = "Give another folder with --output, or delete this one."
        raise UsageError(
            f"The folder contains the result of another evaluation:{listed(changed)}", folder, remedy
        )
