"""Execution of one task in a new process of its own, for tasks during which a worker died.

A worker may die because of its task, because of the memory use of others, or because it was killed. Only a task that
also crashes its own process is at fault. All others simply complete here.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import psutil
from dask.utils import format_bytes
from distributed.protocol.pickle import dumps, loads

from spectralearth_build.cluster.environment import WORKER_ENVIRONMENT
from spectralearth_build.cluster.task import Failure, attempt
from spectralearth_build.errors import (
    BuildError,
    MemoryLimitError,
    ProductError,
    StoppedError,
    TimeLimitError,
    WorkerLostError,
)
from spectralearth_build.signals import raise_if_stopped

T = TypeVar("T")

TRIES = 3
"""How often a task may lose its process without being at fault, before the run gives up on the machine."""
OWN_FAULT = tuple(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE")
    if hasattr(signal, name)
)
"""Signals that a process causes itself. SIGKILL is not one, since users and the kernel send it too."""
_NEVER = TRIES + 1
_POLL = 0.2
_START_LIMIT = 600
"""Maximum number of seconds for a process to start."""
_HEADROOM = 1 << 30
"""Bytes of address space that libraries reserve but do not use."""


class _LostError(Exception):
    """Raised if the process ended or was killed without a response."""

    def __init__(self, what: str, kind: type[ProductError] = WorkerLostError, blamed_after: int = 1) -> None:
        super().__init__(what)
        self.kind = kind
        self.blamed_after = blamed_after
        """How often this must happen to count as the task's fault."""


def run_alone(
    key: str,
    function: Callable[..., T],
    arguments: tuple[Any, ...],
    time_limit: float,
    memory_limit: int | None = None,
) -> T | Failure:
    """Run a task in its own process.

    A task fails if its process crashes, exceeds its memory or time limit, ends in the same way twice, or raises the
    same exception twice (see `attempt`). A signal from outside, such as SIGKILL, does not count.

    Args:
        key: the task's key.
        function: what to call.
        arguments: its arguments.
        time_limit: seconds after which the process is killed.
        memory_limit: resident memory in bytes above which it is killed; None: no limit.

    Returns:
        The result of `attempt`, or a Failure of class WorkerLostError, TimeLimitError or MemoryLimitError.

    Raises:
        StoppedError: A signal arrived, or the machine does not let the task run.
        BuildError: An error that concerns all tasks, see `attempt`.
    """
    told: list[str] = []
    for _ in range(TRIES):
        try:
            answer = _ask(dumps((key, function, arguments, memory_limit)), time_limit, memory_limit)
        except _LostError as lost:
            told.append(str(lost))
            if told.count(str(lost)) >= lost.blamed_after:
                error = lost.kind(f"The process that worked on it, and on nothing else, {lost}.")
                return Failure(key, lost.kind.__name__, str(error))
            continue
        if isinstance(answer, BuildError):
            raise answer
        return answer  # type: ignore[no-any-return]
    raise StoppedError(
        f"{key}: the process that worked on it, and on nothing else, {'; then '.join(told)}.",
        remedy="Find out what kills processes on this machine, then run the same command again to continue.",
    )


def _ask(request: bytes, time_limit: float, memory_limit: int | None) -> Any:  # noqa: ANN401
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(writer, request), name="spectralearth-build-alone")
    process.start()
    writer.close()
    try:
        return _receive(reader, process, time_limit, memory_limit)
    finally:
        process.kill()
        process.join()
        process.close()
        reader.close()


def _receive(reader: Connection, process: Any, time_limit: float, memory_limit: int | None) -> Any:  # noqa: ANN401
    """Return the response of the process. Its time limit begins after its start, which can take long."""
    try:
        _wait(reader, process, _START_LIMIT, memory_limit, blamed_after=_NEVER)
        reader.recv_bytes()
        _wait(reader, process, time_limit, memory_limit)
        return loads(reader.recv_bytes())
    except (EOFError, OSError, pickle.UnpicklingError):
        process.join()
        code = process.exitcode
        if code >= 0:
            raise _LostError(f"ended with exit status {code}", blamed_after=2) from None
        what = f"was killed by {signal.Signals(-code).name}"
        raise _LostError(what, blamed_after=1 if -code in OWN_FAULT else _NEVER) from None


def _wait(
    reader: Connection,
    process: Any,  # noqa: ANN401
    time_limit: float,
    memory_limit: int | None,
    blamed_after: int = 1,
) -> None:
    """Wait for a response or a reason to give up. A task that is late ``blamed_after`` times fails."""
    deadline = time.monotonic() + time_limit
    while not reader.poll(_POLL):
        raise_if_stopped()
        if time.monotonic() > deadline:
            raise _LostError(f"did not come back in {time_limit:g} seconds", TimeLimitError, blamed_after)
        used = _resident(process.pid)
        if memory_limit is not None and used > memory_limit:
            what = f"took {format_bytes(used)} of memory, more than {format_bytes(memory_limit)}"
            raise _LostError(what, MemoryLimitError)


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0  # the process has just ended


def _answer(writer: Connection, request: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(WORKER_ENVIRONMENT)
    key, function, arguments, memory_limit = loads(request)
    _limit_memory(memory_limit)
    writer.send_bytes(b"begun")
    try:
        answer: object = attempt(key, function, arguments, last=True)
    except BuildError as error:
        answer = error
    writer.send_bytes(dumps(answer))


def _limit_memory(limit: int | None) -> None:
    """Limit the address space, so that huge allocations fail before the kernel kills this or another process."""
    if limit is not None and hasattr(resource, "RLIMIT_DATA"):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        fuse = limit + _HEADROOM
        if hard == resource.RLIM_INFINITY or fuse < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (fuse, hard))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
