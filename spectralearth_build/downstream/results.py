"""Results of the cells as tables: one row per cell, learning curves, and means over seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from spectralearth_build.downstream.grid import CellJob
from spectralearth_build.downstream.grid_config import RANDOM
from spectralearth_build.downstream.job import is_done
from spectralearth_build.downstream.run import CELLS, FAILED
from spectralearth_build.evaluate.result import Result, read_result

GROUP = ["task", "encoder", "initialisation", "protocol", "fraction"]
"""Columns that are equal in cells which differ only in their seed."""
NUMBERS = ("seconds", "trainable", "encoder_trainable", "samples_train")
"""Columns that exist even if no cell is done."""
RIVALS = {"frozen": ("frozen", "scratch"), "adapter": ("adapter",), "finetune": ("scratch",)}
"""For each protocol with pretrained weights, the protocols with random weights to compare with."""


def collect(cells: Iterable[CellJob], out: Path) -> pd.DataFrame:
    """Return one row per cell: its parameters, its status (done, failed, missing), and its results.

    Columns that begin with ``test_`` and ``val_`` are figures; NaN if there is none.
    """
    return pd.DataFrame([_row(job, out / CELLS / job.key) for job in cells])


def curves(cells: Iterable[CellJob], out: Path) -> pd.DataFrame:
    """Return one row per epoch of each finished cell: the columns of the cell, epoch, loss, rate and figures on val."""
    rows = [
        asdict(job.cell) | {"key": job.key} | row
        for job in cells
        for row in _result(out / CELLS / job.key).curve
    ]
    return pd.DataFrame(rows, columns=None if rows else [*GROUP, "seed", "key", "epoch"])


def figures_of(results: pd.DataFrame) -> list[str]:
    """Return the names, without prefix, of all figures on test that any of these cells has."""
    return [
        name.removeprefix("test_")
        for name in results.columns
        if name.startswith("test_") and results[name].notna().any()
    ]


def means(results: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Return mean and spread over seeds of one figure on test.

    Returns:
        One row per group of `GROUP`, with mean, spread (sample standard deviation; NaN for one seed), n (number of
        cells with the figure), failed and missing.
    """
    column = f"test_{figure}"
    if column not in results:
        results = results.assign(**{column: float("nan")})
    grouped = results.groupby(GROUP, sort=False)
    found = grouped[column].agg(mean="mean", spread="std", n="count")
    for state in ("failed", "missing"):
        found[state] = grouped["status"].agg(lambda status, state=state: int((status == state).sum()))
    return found.reset_index()


def shown(results: pd.DataFrame, metrics: dict[str, str]) -> pd.DataFrame:
    """Return `means` of the figure that each task shows.

    Args:
        results: output of `collect`.
        metrics: the figure of each task.
    """
    parts = [means(part, metrics[str(task)]) for task, part in results.groupby("task", sort=False)]
    return pd.concat(parts, ignore_index=True)


def against_random(results: pd.DataFrame, metrics: dict[str, str]) -> pd.DataFrame:
    """Compare pretrained with random weights, seed by seed, in the figure that each task shows.

    Returns:
        One row for each task, encoder, initialisation, protocol, fraction and rival protocol: ours and theirs (means
        over the seeds that both have), difference (mean), least (smallest of any seed), wins and n.
    """
    rows = [row for task, part in results.groupby("task", sort=False)
            for row in _duels(part, f"test_{metrics[str(task)]}")]  # fmt: skip
    columns = [*GROUP, "rival", "ours", "theirs", "difference", "least", "wins", "n"]
    return pd.DataFrame(rows, columns=columns)


def _duels(results: pd.DataFrame, column: str) -> Iterator[dict[str, Any]]:
    if column not in results:
        return
    known = results[results[column].notna()]
    random = known[known["initialisation"] == RANDOM]
    for group, part in known[known["initialisation"] != RANDOM].groupby(GROUP, sort=False):
        own = dict(zip(GROUP, group, strict=True))
        same = random[(random["encoder"] == own["encoder"]) & (random["fraction"] == own["fraction"])]
        for rival in RIVALS[str(own["protocol"])]:
            theirs = same[same["protocol"] == rival].set_index("seed")[column]
            pair = pd.DataFrame({"ours": part.set_index("seed")[column], "theirs": theirs}).dropna()
            if len(pair):
                gap = pair["ours"] - pair["theirs"]
                yield own | {"rival": rival, "ours": pair["ours"].mean(), "theirs": pair["theirs"].mean(),
                             "difference": gap.mean(), "least": gap.min(), "wins": int((gap > 0).sum()),
                             "n": len(pair)}  # fmt: skip


def _row(job: CellJob, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = asdict(job.cell) | {
        "status": "missing",
        "error_class": "",
        "message": "",
        "notes": "",
    }
    row |= dict.fromkeys(NUMBERS, float("nan"))
    if is_done(folder):
        result = _result(folder)
        row |= {"status": "done", "seconds": result.seconds, "epoch": result.epoch,
                "trainable": result.trainable, "encoder_trainable": result.encoder_trainable,
                **{f"samples_{part}": count for part, count in result.samples.items()},
                "notes": "; ".join(result.notes), **result.figures}  # fmt: skip
    elif (folder / FAILED).is_file():
        row |= {"status": "failed", **json.loads((folder / FAILED).read_bytes())}
    return row | {"key": job.key}


def _result(folder: Path) -> Result:
    found = read_result(folder) if is_done(folder) else None
    return found or Result({}, [], trainable=0, encoder_trainable=0, samples={}, seconds=0.0)
