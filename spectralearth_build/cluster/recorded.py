"""An executor that writes what happens to tasks into the event log of the run."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spectralearth_build.cluster.task import Executor, Failure, Look, Prefixed, WrappedExecutor
from spectralearth_build.progress import say
from spectralearth_build.runlog.writing import RunLog, current, stamp

T = TypeVar("T")
OF_PROCESS = Path("/proc/self/io")
"""What the kernel counts of a process, on Linux."""


@dataclass(frozen=True)
class Measured:
    """The result of a task, and what the task took."""

    result: Any
    worker: str
    """Host name and process id."""
    began: float
    """Seconds since 1970, by the worker's clock."""
    seconds: float
    read: int | None
    """Bytes that the process read by system calls, also from the cache; None: not known on this system."""
    written: int | None
    """Bytes that it wrote."""
    memory: int
    """Peak memory of the process so far, bytes."""


def with_log(executor: Executor) -> Executor:
    """Return an executor that records its tasks, if this run has a log; else the same executor."""
    log = current()
    return RecordedExecutor(executor, log) if log else executor


def measured(function: Callable[..., Any], *arguments: Any) -> Measured:  # noqa: ANN401
    """Call a function, on a worker, and measure it."""
    began, clock, before = time.time(), time.monotonic(), _transferred()
    result = function(*arguments)
    read, written = (
        None if now is None or then is None else now - then
        for now, then in zip(_transferred(), before, strict=True)
    )
    return Measured(
        result,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        began=began,
        seconds=time.monotonic() - clock,
        read=read,
        written=written,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


@dataclass(frozen=True)
class RecordedExecutor(WrappedExecutor):
    """Records the tasks that another executor runs; see `Executor`."""

    log: RunLog

    def seeing(self, look: Look) -> RecordedExecutor:
        """See `Executor.seeing`."""
        return RecordedExecutor(self.inner.seeing(look), self.log)

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`. If the log cannot be written, the user is told once, and the run goes on."""
        if not tasks:
            return
        self.log.open()
        self.log.record("stage", stage=stage, tasks=len(tasks), workers=self.workers)
        for key, outcome in self.inner.run(stage, measured, Prefixed((function,), tasks)):
            if isinstance(outcome, Failure):
                self.log.record(
                    "failure", stage=stage, task=key, error=outcome.error_class, message=outcome.message
                )
                yield key, outcome
            else:
                taken = vars(outcome) | {"began": stamp(outcome.began), "seconds": round(outcome.seconds, 3)}
                self.log.record(
                    "task", stage=stage, task=key, **{k: taken[k] for k in taken if k != "result"}
                )
                yield key, outcome.result
        self.log.record("stage-end", stage=stage)
        if self.log.trouble and self.log.tell:
            say(f"The event log ends here, the run goes on: {self.log.trouble}")
            self.log.tell = False


def _transferred() -> tuple[int | None, int | None]:
    """Return the bytes that this process has read and written so far."""
    with suppress(OSError, ValueError, KeyError):
        lines = (line.split(":") for line in OF_PROCESS.read_text().splitlines())
        counts = {name: int(value) for name, value in lines}
        return counts["rchar"], counts["wchar"]
    return None, None
