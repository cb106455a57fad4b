"""Write the event log of a run: one JSON line an event, in ``work/logs`` of the dataset.

Only the driver writes it. It is no part of what a dataset promises: its lines are not synced, it may be deleted, and if
it cannot be written, the run goes on without it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralearth_build.layout import log_name
from spectralearth_build.version import __version__

if TYPE_CHECKING:
    from spectralearth_build.runlog.reading import StageRecord

BEAT = 20.0
"""Seconds between two signs of life: the modification time of the log is set to now."""


@dataclass
class RunLog:
    """The log of one run. Until the first stage with tasks, events are kept in memory, so a refused run writes none."""

    path: Path
    verb: str = ""
    """What runs, such as build."""
    dataset: Path = Path()
    """Folder of the dataset."""
    stages: list[StageRecord] = field(default_factory=list)
    """Stages on a Dask cluster so far, for the page of totals."""
    trouble: str = ""
    """Why the log ends early; empty: it is complete."""
    tell: bool = True
    """Whether the user is still to be told of the trouble."""
    _file: BufferedWriter | None = None
    _waiting: list[bytes] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def record(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Add an event.

        Args:
            event: its kind: run, stage, task, failure, stage-end, message or end.
            values: what belongs to it, as JSON.
        """
        line = json.dumps({"time": stamp(time.time()), "event": event, **values}, ensure_ascii=True)
        with self._lock:
            self._waiting.append(line.encode() + b"\n")
            if self._file:
                self._write()

    def open(self) -> None:
        """Begin to write, once: first what has been recorded so far."""
        with self._lock:
            if self._file or self.trouble:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
            except OSError as error:
                self._give_up(error)
                return
            self._write()
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()

    def close(self) -> None:
        """End the log."""
        self._over.set()
        with self._lock:
            if self._file:
                with suppress(OSError):
                    self._file.close()
                self._file = None

    def _write(self) -> None:
        assert self._file is not None
        try:
            self._file.writelines(self._waiting)
            self._file.flush()
        except OSError as error:
            self._give_up(error)
        self._waiting.clear()

    def _give_up(self, error: OSError) -> None:
        self.trouble = f"{self.path}: {error.strerror or error}"
        if self._file:
            with suppress(OSError):
                self._file.close()
        self._file = None

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with suppress(OSError):
                os.utime(self.path)


_logs: list[RunLog] = []
"""The logs of the runs of this process; the last one counts."""


@contextmanager
def recorded(dataset: Path, verb: str) -> Iterator[None]:
    """Log the run inside this context.

    Args:
        dataset: folder of the dataset, which is locked.
        verb: what runs, such as build.
    """
    host, now = socket.gethostname(), time.time()
    name = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{verb}-{os.getpid()}"
    log = RunLog(dataset / log_name(name), verb, dataset)
    log.record("run", verb=verb, version=__version__, host=host, pid=os.getpid())
    _logs.append(log)
    try:
        yield
    except BaseException as error:
        log.record("end", error=type(error).__name__, message=str(error))
        raise
    else:
        log.record("end", error="", message="")
    finally:
        _logs.remove(log)
        log.close()


def current() -> RunLog | None:
    """Return the log of the run of this process; None: it is not logged."""
    return _logs[-1] if _logs else None


def stamp(seconds: float) -> str:
    """Write a time, in seconds since 1970, in UTC with milliseconds: 2026-11-30T21:12:03.250Z."""
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    )
