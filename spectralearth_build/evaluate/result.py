"""What an evaluation found, as a file."""

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
    """The figures of one evaluation and how they came about."""

    figures: dict[str, float]
    """Of the chosen epoch, by name: ``val_...`` and ``test_...`` with what `metrics` measures, micro and macro:
    oa, iou_micro, iou_macro, f1_micro, f1_macro, or f1_micro, f1_macro, map_micro, map_macro."""
    curve: list[dict[str, float]]
    """One row an epoch: epoch (from 1), loss, rate (of its last step), val_..., seconds. Empty for knn and ridge."""
    trainable: int
    """Parameters that were trained, head and encoder."""
    encoder_trainable: int
    """Those of the encoder among them: 0 frozen, 56,192 adapter."""
    samples: dict[str, int]
    """train, val, test: patches; train_all: before the fraction was taken; locations: those of train;
    unlabelled: patches of the three parts without labels."""
    seconds: float
    """Of everything."""
    epoch: int = 0
    """The chosen one; 0: there are none."""
    chosen_by: str = ""
    """The figure on val that it was best in."""
    per_class: list[dict[str, Any]] = field(default_factory=list)
    """Of test, one row a class: name, colour and figures; None where they are not defined."""
    notes: list[str] = field(default_factory=list)
    """What one should know to judge the figures, such as classes without a label in train."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What decided the result: configuration, encoder, dataset."""

    def write(self, folder: Path) -> None:
        """Write ``result.json``, atomically; what is not defined is null there."""
        write_bytes(folder / FILE, json.dumps(_plain(asdict(self)), indent=1, allow_nan=False).encode())


def read_result(folder: Path) -> Result | None:
    """The result in a folder; None if there is none.

    Raises:
        DamagedError: the file is not what `Result.write` has written.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        figures, *curve = map(_numbers, (document["figures"], *document["curve"]))
        return Result(**{**document, "figures": figures, "curve": curve})
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"Not a result: {error}.", path, "Delete it and run the same again.") from error


def _plain(value: Any) -> Any:  # noqa: ANN401
    """The same with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _numbers(figures: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in figures.items()}
