"""One cell on a worker; torch is imported here and nowhere else."""

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
"""Errors that every other cell would meet too."""


@dataclass(frozen=True)
class RunContext:
    """What all cells of a run have in common."""

    dataset: str
    cache: Path
    """Features of frozen encoders, which cells share."""
    threads: int
    """Of a cell: those of torch, and those that read."""
    quiet: bool = False
    """Whether cells keep their progress to themselves, because several run at a time."""


@dataclass(frozen=True)
class Refusal:
    """A cell that cannot be run, in the words of the error."""

    error_class: str
    message: str


def run_cell(place: RunContext, weights: str, settings: dict[str, Any], folder: Path) -> Refusal | None:
    """Evaluate, and leave result.json in the cell's folder; nothing happens where there is one of the same settings.

    Args:
        place: dataset, cache, threads.
        weights: file of the encoder; empty: random.
        settings: as in `grid.CellJob`.
        folder: of the cell.

    Returns:
        None, or what is wrong with this cell alone.
    """
    import torch

    from spectralearth_build.evaluate.run import evaluate

    if place.quiet:
        set_quiet(True)
    before = torch.get_num_threads()
    torch.set_num_threads(
        place.threads
    )  # on a local cluster each process would take one, on others all cores
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
    """Whether the folder holds the result of its cell; a file that is no result counts as none."""
    try:
        return read_result(folder) is not None
    except DamagedError:
        return False


def share(cores: int, workers: int) -> int:
    """Threads of each of several workers on one machine."""
    return max(1, cores // max(1, workers))
