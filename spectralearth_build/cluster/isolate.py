"""One task alone in a process made for it and thrown away: the court for tasks that a worker died on.

A worker may die of the task it ran, of its neighbours' memory or of the operator. Only a task that brings
down a process of its own is to blame; every other one just gets done here.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from distributed.protocol.pickle import dumps, loads

from spectralearth_build.cluster.environment import WORKER_ENVIRONMENT
from spectralearth_build.cluster.signals import raise_if_stopped
from spectralearth_build.cluster.task import Failure, attempt
from spectralearth_build.errors import BuildError, WorkerLostError

T = TypeVar("T")

TRIES = 3
"""How often a task may lose its process to something that need not be its own fault."""
OWN_FAULT = tuple(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE")
    if hasattr(signal, name)
)
"""Signals that a process brings upon itself. SIGKILL is not one: operators and the kernel send it too."""
_POLL = 0.2


class _LostError(Exception):
    """The process ended, or was ended, without an answer."""

    def __init__(self, what: str, convicted: bool) -> None:
        super().__init__(what)
        self.convicted = convicted


def run_alone(
    key: str, function: Callable[..., T], arguments: tuple[Any, ...], time_limit: float
) -> T | Failure:
    """Run a task in its own process.

    Args:
        key: the task's key.
        function: what to call.
        arguments: with what.
        time_limit: seconds after which the process is killed.

    Returns:
        What `attempt` returns, or a Failure of class WorkerLostError that says how, if the process crashed by
        itself, was lost three times, or did not come back in time.

    Raises:
        StoppedError: a signal came.
        BuildError: what concerns all tasks, see `attempt`.
    """
    told: list[str] = []
    for _ in range(TRIES):
        try:
            answer = _ask(dumps((key, function, arguments)), time_limit)
        except _LostError as lost:
            told.append(str(lost))
            if lost.convicted:
                break
            continue
        if isinstance(answer, BuildError):
            raise answer
        return answer  # type: ignore[no-any-return]
    error = WorkerLostError(f"The process that worked on it, and on nothing else, {'; then '.join(told)}.")
    return Failure(key, type(error).__name__, str(error))


def _ask(request: bytes, time_limit: float) -> Any:  # noqa: ANN401
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(writer, request), name="spectralearth-build-alone")
    process.start()
    writer.close()
    try:
        return _receive(reader, process, time_limit)
    finally:
        process.kill()
        process.join()
        process.close()
        reader.close()


def _receive(reader: Connection, process: Any, time_limit: float) -> Any:  # noqa: ANN401
    deadline = time.monotonic() + time_limit
    while not reader.poll(_POLL):
        raise_if_stopped()
        if time.monotonic() > deadline:
            raise _LostError(f"did not come back in {time_limit:g} seconds", convicted=True)
    try:
        return loads(reader.recv_bytes())
    except (EOFError, OSError, pickle.UnpicklingError):
        process.join()
        code = process.exitcode
        if code >= 0:
            raise _LostError(f"ended with exit status {code}", convicted=False) from None
        raise _LostError(
            f"was killed by {signal.Signals(-code).name}", convicted=-code in OWN_FAULT
        ) from None


def _answer(writer: Connection, request: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(WORKER_ENVIRONMENT)
    try:
        answer: object = attempt(*loads(request))
    except BuildError as error:
        answer = error
    writer.send_bytes(dumps(answer))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
