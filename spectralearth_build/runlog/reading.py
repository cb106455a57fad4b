"""Read the event log of a run, also while it is being written, or after its driver died."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spectralearth_build.runlog.writing import BEAT

RECENT = 100
"""Number of the latest tasks that give the present rate, times the number of workers at most."""
SILENT = 3 * BEAT
"""Seconds without a sign of life after which a run counts as dead."""


@dataclass(frozen=True)
class TaskSpan:
    """When and where a task ran."""

    task: str
    worker: str
    """Host name and process id."""
    began: float
    """Seconds since 1970, by the worker's clock."""
    seconds: float


@dataclass
class StageRecord:
    """One stage of a run so far."""

    name: str
    """Such as scan, plan or cut."""
    tasks: int
    """Number of tasks."""
    workers: int
    """Number of tasks that ran at a time when it began."""
    began: float
    """Seconds since 1970."""
    ended: float | None = None
    """Seconds since 1970; None: it did not end."""
    done: int = 0
    """Number of tasks that ended with a result."""
    failures: dict[str, list[str]] = field(default_factory=dict)
    """Tasks that failed, by error class."""
    busy: float = 0.0
    """Seconds that all tasks together took."""
    read: int = 0
    """Bytes read by all tasks, as far as known."""
    written: int = 0
    """Bytes written by all tasks, as far as known."""
    memory: int = 0
    """Greatest peak memory of a worker, bytes."""
    last: float = 0.0
    """When a task ended last, seconds since 1970, by the driver's clock."""
    recent: deque[float] = field(default_factory=deque)
    """When the latest tasks ended."""

    @classmethod
    def starting(cls, name: str, tasks: int, workers: int, now: float) -> StageRecord:
        """Return a stage that begins at ``now``, in seconds."""
        recent: deque[float] = deque(maxlen=max(RECENT, 4 * workers))
        return cls(name, tasks, workers, began=now, last=now, recent=recent)

    def count(self, now: float, task: str, error: str = "") -> None:
        """Note that a task ended at ``now``, with a result or with an error of this class."""
        self.last = now
        self.recent.append(now)
        if error:
            self.failures.setdefault(error, []).append(task)
        else:
            self.done += 1

    @property
    def over(self) -> int:
        """Number of tasks that ended, with a result or without."""
        return self.done + sum(map(len, self.failures.values()))

    def rate(self) -> float:
        """Tasks per second, of late; 0: not known yet."""
        first = self.recent[0] if len(self.recent) == self.recent.maxlen else self.began
        span = self.last - first
        return len(self.recent) / span if self.recent and span > 0 else 0.0

    def left(self) -> float | None:
        """Seconds until the last task ends, at the present rate; None: not known yet."""
        rate = self.rate()
        return (self.tasks - self.over) / rate if rate else None


@dataclass
class RunRecord:
    """What the log of a run says."""

    path: Path
    """The log."""
    verb: str = ""
    version: str = ""
    host: str = ""
    pid: int = 0
    began: float = 0.0
    """Seconds since 1970."""
    ended: float | None = None
    """Seconds since 1970; None: it runs, or it died."""
    error: str = ""
    """Class of the error that ended it; empty: none."""
    message: str = ""
    """Message of that error, or else the last line that the run printed."""
    stages: list[StageRecord] = field(default_factory=list)
    """In order; a stage that ran twice is there twice."""
    sign: float = 0.0
    """Latest sign of life, seconds since 1970, by the clock of the file system."""


def read_run(path: Path) -> RunRecord:
    """Read a log. Lines that are cut short or of an unknown kind are passed over."""
    record = RunRecord(path, sign=path.stat().st_mtime)
    for event in events(path):
        with suppress(LookupError, TypeError, ValueError):  # an event of another version
            _add(record, event)
    return record


def spans(path: Path) -> Iterator[tuple[str, TaskSpan]]:
    """Yield the stage and the span of each task that ended with a result."""
    for event in events(path):
        if event["event"] == "task":
            with suppress(LookupError, TypeError, ValueError):
                began = seconds_of(event["began"])
                yield event["stage"], TaskSpan(event["task"], event["worker"], began, event["seconds"])


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log, in order."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue  # the last line of a run that died, or one that the disk lost
            if isinstance(found, dict) and {"time", "event"} <= found.keys():
                yield found


def seconds_of(text: str) -> float:
    """Return the seconds since 1970 of a time in UTC."""
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp()


def _add(record: RunRecord, event: Mapping[str, Any]) -> None:
    kind, now = event["event"], seconds_of(event["time"])
    stage = record.stages[-1] if record.stages else None
    if kind == "run":
        record.verb, record.version = event["verb"], event["version"]
        record.host, record.pid, record.began = event["host"], event["pid"], now
    elif kind == "stage":
        record.stages.append(StageRecord.starting(event["stage"], event["tasks"], event["workers"], now))
    elif kind in ("task", "failure") and stage:
        stage.count(now, event["task"], event["error"] if kind == "failure" else "")
        if kind == "task":
            stage.busy += event["seconds"]
            stage.read += event["read"] or 0
            stage.written += event["written"] or 0
            stage.memory = max(stage.memory, event["memory"])
    elif kind == "stage-end" and stage:
        stage.ended = now
    elif kind == "message":
        record.message = event["text"]
    elif kind == "end":
        record.ended, record.error = now, event["error"]
        record.message = event["message"] or record.message
