"""What a run says while it trains: a CSV, and TensorBoard events where tensorboard is installed."""

from __future__ import annotations

import csv
import importlib.util
import os
from pathlib import Path
from typing import Any

from spectralearth_build.files import replacing

CSV = "log.csv"


class Log:
    """Figures by step.

    Args:
        folder: of the run.
        step: steps done so far; lines of later ones, of a run that was killed, are dropped.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.path = folder / CSV
        self.rows = [row for row in read(self.path) if int(row["step"]) <= step]
        self.events = _tensorboard(folder / "events", step)
        self._rewrite()

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write the figures of a step."""
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
            os.truncate(self.path, whole)  # half a line could be taken for another step
            raise

    def close(self) -> None:
        """Finish the events."""
        if self.events is not None:
            self.events.close()

    def _rewrite(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with replacing(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)


def read(path: Path) -> list[dict[str, str]]:
    """The lines of a log; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def _tensorboard(folder: Path, step: int) -> Any:  # noqa: ANN401
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)
