"""A picture of a run: when each worker had a task, and how many had none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spectralearth_build.errors import UsageError
from spectralearth_build.files import replacing
from spectralearth_build.runlog.reading import TaskSpan, spans
from spectralearth_build.runlog.status import Status

COLOURS = ("#2f6f9f", "#c8812b", "#4f8a4b", "#8a5a9e", "#a8473f", "#6b6b6b")
"""Colours of the stages, in order."""
STEPS = 400
"""Number of points in time at which busy workers are counted."""


def draw_timeline(status: Status, path: Path) -> None:
    """Draw the tasks of the latest run, a line for each worker, with the number of busy workers below.

    Args:
        status: the state of a dataset.
        path: the picture; its suffix decides the format.

    Raises:
        UsageError: the log has no finished task.
    """
    tasks: dict[str, list[TaskSpan]] = {}
    for stage, span in spans(status.run.path) if status.run else ():
        tasks.setdefault(stage, []).append(span)
    if not tasks:
        raise UsageError(
            "No task of a run has been recorded.", path, "Run `build`, then draw its timeline again."
        )
    workers = _workers(tasks)
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}), replacing(path) as temporary:
        figure = Figure(figsize=(10, 2.6 + min(8.0, 0.22 * len(workers))), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[max(1.5, 0.22 * len(workers)), 1])
        start = min(span.began for group in tasks.values() for span in group)
        _bars(upper, tasks, workers, start)
        _counts(lower, tasks, start, len(workers))
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=150)


def busy(spans: Sequence[TaskSpan], moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the tasks that run at each moment; all in seconds since 1970."""
    began = np.sort([span.began for span in spans])
    ended = np.sort([span.began + span.seconds for span in spans])
    return np.searchsorted(began, moments, side="right") - np.searchsorted(ended, moments, side="right")


def _workers(tasks: Mapping[str, Sequence[TaskSpan]]) -> dict[str, int]:
    """Return the line of each worker, in order of their first task."""
    first: dict[str, float] = {}
    for group in tasks.values():
        for span in group:
            first[span.worker] = min(span.began, first.get(span.worker, span.began))
    return {worker: line for line, worker in enumerate(sorted(first, key=lambda name: (first[name], name)))}


def _bars(
    axes: Axes, tasks: Mapping[str, Sequence[TaskSpan]], workers: Mapping[str, int], start: float
) -> None:
    for (stage, group), colour in zip(tasks.items(), _cycle(len(tasks)), strict=True):
        lines: dict[int, list[tuple[float, float]]] = {}
        for span in group:
            lines.setdefault(workers[span.worker], []).append((span.began - start, span.seconds))
        for number, (line, pieces) in enumerate(sorted(lines.items())):
            axes.broken_barh(
                pieces,
                (line - 0.4, 0.8),
                facecolors=colour,
                edgecolors="white",
                linewidth=0.3,
                label=stage if number == 0 else None,
            )
    axes.set_ylim(len(workers) - 0.4, -0.6)
    few = len(workers) <= 40
    axes.set_yticks(list(workers.values()) if few else [], list(workers) if few else [])
    axes.set_ylabel("worker" if few else f"{len(workers)} workers")
    axes.set_title("Tasks of each worker; white: it waited or was starting", loc="left", fontsize=10)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _counts(axes: Axes, tasks: Mapping[str, Sequence[TaskSpan]], start: float, most: int) -> None:
    every = [span for group in tasks.values() for span in group]
    moments = np.linspace(start, max(span.began + span.seconds for span in every), STEPS)
    for group, colour in zip(tasks.values(), _cycle(len(tasks)), strict=True):
        counts = busy(group, moments)
        axes.fill_between(moments - start, counts, step="mid", color=colour, alpha=0.6, linewidth=0)
    axes.set_ylim(0, most * 1.08)
    axes.set_xlabel("seconds since the first task began")
    axes.set_ylabel("busy workers")


def _cycle(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
