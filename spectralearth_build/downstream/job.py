"""Execution of one cell on a worker. Only this module imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectralearth_build.errors import BuildError, DamagedError, OutOfSpaceError, StoppedError, StorageError
from spectralearth_build.evaluate.result import read_result
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.progress import set_quiet
from spectralearth_build.settings import layered

EVERYBODY = (OutOfSpaceError, StoppedError, StorageError)
"""Errors that would affect every other cell too."""


@dataclass(frozen=True)
class RunContext:
    """Parameters that all cells of a run share."""

    dataset: str
    cache: Path
    """Folder of cached features of frozen encoders, which cells share."""
    threads: int
    """Threads per cell, for torch and for reading."""
    quiet: bool = False
    """Whether cells hide their progress, because several run at a time."""


@dataclass(frozen=True)
class Refusal:
    """The error of a cell that cannot be run."""

    error_class: str
    message: str


def run_cell(place: RunContext, weights: str, settings: dict[str, Any], folder: Path) -> Refusal | None:
    """Run one evaluation and write result.json, unless the folder has a result of the same settings.

    Args:
        place: dataset, cache and threads.
        weights: path of the encoder file; empty: random weights.
        settings: as in `grid.CellJob`.
        folder: folder of the cell.

    Returns:
        None, or the error if it concerns only this cell.
    """
    import torch

    from spectralearth_build.evaluate.run import evaluate

    if place.quiet:
        set_quiet(True)
    before = torch.get_num_threads()
    torch.set_num_threads(place.threads)  # a local cluster would default to one thread, others to all cores
    try:
        config = layered(EvaluateConfig, {**settings, "threads": place.threads})
        evaluate(place.dataset, Path(weights) if weights else None, config, folder, place.cache)
    except EVERYBODY:
        raise
    except BuildError as error:
        return Refusal(type(error).__name__, str(error))
    finally:
        torch.set_num_threads(before)
    return None


def is_done(folder: Path) -> bool:
    """Return whether the folder contains the result of its cell. An invalid file does not count."""
    try:
        return read_result(folder) is not None
    except DamagedError:
        return False


def share(cores: int, workers: int) -> int:
    """Return the threads per worker on one machine."""
    return max(1, cores // max(1, workers))
