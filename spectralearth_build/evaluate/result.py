"""The result of an evaluation, as a file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spectralearth_build.errors import DamagedError
from spectralearth_build.files import write_bytes

FILE = "result.json"
PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Result:
    """The figures of one evaluation, and how they were obtained."""

    figures: dict[str, float]
    """Figures of the chosen epoch, by name: ``val_...`` and ``test_...`` with the figures of `metrics`: oa, iou_micro,
    iou_macro, f1_micro, f1_macro, or f1_micro, f1_macro, map_micro, map_macro."""
    curve: list[dict[str, float]]
    """One row per epoch: epoch (from 1), loss, rate (of its last step), val_..., seconds. Empty for knn and ridge."""
    trainable: int
    """Number of trained parameters of head and encoder."""
    encoder_trainable: int
    """Number of trained parameters of the encoder: 0 for frozen, 56,192 for adapter."""
    samples: dict[str, int]
    """Counts. train, val, test: patches; train_all: training patches before the fraction was taken; locations: training
    locations; unlabelled: patches of the three parts without labels."""
    seconds: float
    """Total run time in seconds."""
    epoch: int = 0
    """The chosen epoch; 0 if the head needs no epochs."""
    chosen_by: str = ""
    """The figure on val by which it was chosen."""
    per_class: list[dict[str, Any]] = field(default_factory=list)
    """Figures on test, one row per class: name, colour and figures; None if undefined."""
    notes: list[str] = field(default_factory=list)
    """Notes that help to judge the figures, such as classes without a label in train."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Everything that determines the result: configuration, encoder, dataset."""

    def write(self, folder: Path) -> None:
        """Write ``result.json`` atomically. Undefined figures are null."""
        write_bytes(folder / FILE, json.dumps(_plain(asdict(self)), indent=1, allow_nan=False).encode())


def read_result(folder: Path) -> Result | None:
    """Read the result in a folder; None if there is none.

    Raises:
        DamagedError: The file is not a result as written by `Result.write`.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        figures, *curve = map(_numbers, (document["figures"], *document["curve"]))
        return Result(**{**document, "figures": figures, "curve": curve})
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            f"The result cannot be read: {error}.", path, "Delete the file and run the same command again."
        ) from error


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Replace NaN by None, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _numbers(figures: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in figures.items()}
