"""The log of a training run: a CSV file and, if tensorboard is installed, TensorBoard events."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path
from typing import Any

from spectralearth_build.files import replacing

CSV = "log.csv"


class Log:
    """A log of figures by step.

    Args:
        folder: folder of the run.
        step: number of finished steps. Lines of later steps, left by a killed run, are dropped.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.path = folder / CSV
        self.rows = [row for row in read(self.path) if int(row["step"]) <= step]
        self.events = _tensorboard(folder / "events", step)
        self._rewrite()

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Append the figures of a step."""
        row = {"step": str(step)} | {name: f"{value:.6g}" for name, value in figures.items()}
        known = list(self.rows[0]) if self.rows else []
        self.rows.append(row)
        if list(row) == known:
            self._append(known, row)
        else:
            self._rewrite()
        if self.events is not None:
            for name, value in figures.items():
                self.events.add_scalar(name, value, step)

    def _append(self, names: list[str], row: dict[str, str]) -> None:
        whole = self.path.stat().st_size
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, names).writerow(row)
        except OSError:
            os.truncate(self.path, whole)  # a partial line could be mistaken for another step
            raise

    def close(self) -> None:
        """Close the TensorBoard events."""
        if self.events is not None:
            self.events.close()

    def _rewrite(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with replacing(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)


def read(path: Path) -> list[dict[str, str]]:
    """Read the rows of a log. Returns none if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def _tensorboard(folder: Path, step: int) -> Any:  # noqa: ANN401
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)
