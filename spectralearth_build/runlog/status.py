"""How far a build is, from files of the dataset alone: the plan, the commit records and the event log."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dask.utils import format_bytes

from spectralearth_build.errors import UsageError
from spectralearth_build.journal import newest
from spectralearth_build.layout import PLAN, ROOT, committed_shards, log_files
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.runlog.reading import SILENT, RunRecord, StageRecord, read_run
from spectralearth_build.texts import counted, duration

FEW = 3
"""Number of failed tasks to name for each kind of error."""


@dataclass(frozen=True)
class Status:
    """How far a dataset and its latest run are."""

    planned_patches: int | None
    """Number of patches in the plan; None: there is no plan yet."""
    planned_shards: int
    """Number of shards in the plan."""
    committed_shards: int
    """Number of shards that are complete."""
    published: bool
    """Whether the dataset can be opened."""
    run: RunRecord | None
    """The latest run; None: no log is there."""
    state: str
    """State of the latest run: running, silent, died, stopped, failed, done, or unknown without a log."""


def status_of(dataset: Path, now: float | None = None) -> Status:
    """Read the state of a dataset; nothing is locked or changed.

    Args:
        dataset: folder of the dataset.
        now: seconds since 1970; None for the clock of this machine.

    Raises:
        UsageError: Nothing was ever built in this folder.
        DamagedError: plan.json is not a plan.
    """
    now = time.time() if now is None else now
    path, logs = newest(dataset, PLAN), log_files(dataset)
    plan = PlanDocument.read(path) if path.is_file() else None
    if plan is None and not logs:
        raise UsageError(
            "There is neither a plan nor the log of a run.",
            dataset,
            "Give the folder of a dataset that `build` has begun.",
        )
    run = read_run(logs[-1]) if logs else None
    return Status(
        planned_patches=plan.counts.get("patches") if plan else None,
        planned_shards=plan.shards if plan else 0,
        committed_shards=len(committed_shards(dataset)),
        published=(dataset / ROOT).is_file(),
        run=run,
        state=_state(run, now) if run else "unknown",
    )


def _state(run: RunRecord, now: float) -> str:
    """Return the state of a run. On this machine the process is asked; on others, signs of life count."""
    if run.ended is not None:
        return {"": "done", "StoppedError": "stopped"}.get(run.error, "failed")
    if run.host == socket.gethostname() and not _lives(run.pid):
        return "died"
    return "running" if now - run.sign < SILENT else "silent"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def told(status: Status, now: float | None = None) -> Iterator[str]:
    """Yield what to print, line by line."""
    now = time.time() if now is None else now
    yield f"dataset: {_dataset(status)}"
    if status.run is None:
        yield "run: no log in work/logs; the version that built this wrote none, or it was deleted"
        return
    run = status.run
    yield f"run: {run.verb} on {run.host}, process {run.pid}, since {_clock(run.began)}: {_meaning(status, now)}"
    for stage in run.stages:
        yield from _stage(stage, status.state, now)
    if run.message:
        yield f"last message: {run.message}"


def _dataset(status: Status) -> str:
    if status.planned_patches is None:
        return "no plan yet"
    shards = f"{status.committed_shards:,} of {counted(status.planned_shards, 'shard')} complete"
    opened = "published, can be opened" if status.published else "not published yet"
    return f"{counted(status.planned_patches, 'patch', 'patches')} planned, {shards}; {opened}"


def _meaning(status: Status, now: float) -> str:
    run = status.run
    assert run is not None
    again = "the same command goes on"
    return {
        "running": f"running, last seen {duration(max(0.0, now - run.sign))} ago",
        "silent": f"not seen for {duration(now - run.sign)}; its process or its machine has ended or hangs",
        "died": f"its process has died, last seen {duration(now - run.sign)} ago; {again}",
        "stopped": f"stopped after {duration(run.ended - run.began if run.ended else 0)}; {again}",
        "failed": f"failed with {run.error}",
        "done": f"done in {duration(run.ended - run.began if run.ended else 0)}",
    }[status.state]


def _stage(stage: StageRecord, state: str, now: float) -> Iterator[str]:
    """Yield what happened, then what is left, then what failed."""
    name, going = stage.name, stage.ended is None and state in ("running", "silent")
    span = (stage.ended or (now if going else stage.last)) - stage.began
    parts = [f"{stage.over:,} of {stage.tasks:,} in {duration(span)}"]
    if stage.done:
        parts.append(f"{stage.busy / stage.done:.1f} s a task on {counted(stage.workers, 'worker')}")
        parts.append(f"{format_bytes(stage.read)} read, {format_bytes(stage.written)} written")
        parts.append(f"at most {format_bytes(stage.memory)} of memory")
    yield f"{name}: {'; '.join(parts)}"
    left = stage.left()
    if going and left is not None:
        at = _clock(now + left)
        yield f"{name}: {stage.tasks - stage.over:,} left at {60 * stage.rate():.1f} a minute: done at about {at}"
    yield from (
        f"{name}: {counted(len(tasks), 'task')} failed with {error}: {', '.join(tasks[:FEW])}"
        f"{f' and {len(tasks) - FEW} more' if len(tasks) > FEW else ''}"
        for error, tasks in sorted(stage.failures.items())
    )


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def document(status: Status) -> Mapping[str, object]:
    """Return the status as a JSON object; times are in UTC."""
    run = status.run
    found: dict[str, object] = {
        "state": status.state,
        "planned_patches": status.planned_patches,
        "planned_shards": status.planned_shards,
        "committed_shards": status.committed_shards,
        "published": status.published,
        "run": None,
    }
    if run:
        found["run"] = {
            "log": str(run.path),
            "verb": run.verb,
            "version": run.version,
            "host": run.host,
            "pid": run.pid,
            "began": _clock(run.began),
            "ended": _clock(run.ended) if run.ended else None,
            "error": run.error,
            "message": run.message,
            "stages": [_as_json(stage) for stage in run.stages],
        }
    return found


def _as_json(stage: StageRecord) -> dict[str, object]:
    left = stage.left()
    return {
        "name": stage.name,
        "tasks": stage.tasks,
        "done": stage.done,
        "failures": stage.failures,
        "workers": stage.workers,
        "began": _clock(stage.began),
        "ended": _clock(stage.ended) if stage.ended else None,
        "tasks_per_second": stage.rate(),
        "seconds_left": None if stage.ended else left,
        "busy_seconds": stage.busy,
        "bytes_read": stage.read,
        "bytes_written": stage.written,
        "peak_memory": stage.memory,
    }
