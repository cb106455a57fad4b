"""Execution of the cells. Finished cells are kept, and a failed cell does not affect others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spectralearth_build.cluster import Executor, Failure, connect
from spectralearth_build.downstream.grid import CellJob, jobs
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.inputs import inputs_of
from spectralearth_build.downstream.job import Refusal, RunContext, is_done, run_cell, share
from spectralearth_build.evaluate.result import FILE as RESULT
from spectralearth_build.files import delete_partials, remove, write_bytes
from spectralearth_build.labels.classes import NOMENCLATURES
from spectralearth_build.progress import say, track
from spectralearth_build.texts import counted
from spectralearth_build.threads import cores

CELLS, CACHE = "cells", "cache"
FAILED = "failed.json"


def planned(config: GridConfig) -> list[CellJob]:
    """Return all cells of a comparison, with the digests of their inputs.

    Raises:
        UsageError: The dataset is unfinished or has no splits, or a class table cannot be used.
    """
    return list(jobs(config, inputs_of(config)))


def run(config: GridConfig, out: Path) -> list[CellJob]:
    """Run the cells that are not done yet.

    Args:
        config: the settings of the comparison.
        out: output folder. The folders of cells are below ``cells``.

    Returns:
        All cells, done or failed. See `results.collect`.

    Raises:
        UsageError: The dataset or the scheduler cannot be used.
        StoppedError: A signal arrived. Finished cells are kept.
    """
    every = planned(config)
    from spectralearth_build.downstream.separation import refuse_seen  # imports torch

    refuse_seen(config, every)
    folder = out.resolve() / CELLS
    delete_partials(folder)
    delete_partials(out.resolve() / CACHE)
    left = [job for job in every if not is_done(folder / job.key)]
    say(f"downstream: {counted(len(every), 'cell')}, {len(every) - len(left)} of them done")
    for job in left:
        remove(folder / job.key / RESULT)  # not a valid result
    if left:
        with connect(config.run) as executor:
            failed = _work(config, left, out.resolve(), executor)
        say(f"downstream: {counted(len(left) - failed, 'cell')} finished, {failed} failed")
    return every


def _work(config: GridConfig, left: Sequence[CellJob], out: Path, executor: Executor) -> int:
    """Run cells, and return how many failed."""
    alone = config.run.scheduler == "inline"
    place = RunContext(
        _place(config.dataset), out / CACHE, threads_of(config, executor.workers), quiet=not alone
    )
    by_key = {job.key: job for job in left}
    tasks = {key: (place, *_for_workers(job), out / CELLS / key) for key, job in by_key.items()}
    failed = 0
    for key, outcome in track(executor.run("cell", run_cell, tasks), "cells", len(tasks)):
        note = out / CELLS / key / FAILED
        if isinstance(outcome, Failure | Refusal):
            failed += 1
            say(f"downstream: {by_key[key].cell.name} failed: {outcome.error_class}: {outcome.message}")
            record = {"error_class": outcome.error_class, "message": outcome.message}
            write_bytes(note, json.dumps(record).encode())
        else:
            remove(note)
    return failed


def threads_of(config: GridConfig, workers: int) -> int:
    """Return the threads per cell: the setting, else this machine's cores per local worker, or 1 with a scheduler."""
    if config.run.threads:
        return config.run.threads
    elsewhere = config.run.scheduler not in ("", "inline")
    return 1 if elsewhere else share(cores(), workers)


def _place(dataset: str) -> str:
    """Return the path or URL of the dataset, independent of the working directory."""
    path = Path(dataset)
    return str(path.resolve()) if path.is_dir() else dataset


def _for_workers(job: CellJob) -> tuple[str, dict[str, Any]]:
    """Return weights and settings, with paths independent of the working directory."""
    weights = job.weights and str(Path(job.weights).resolve())
    classes = job.settings["nomenclature"]
    if classes and classes not in NOMENCLATURES:
        # not resolved: a link may lead to a file that does not end in .csv
        classes = str(Path(classes).absolute())
    return weights, job.settings | {"nomenclature": classes}
