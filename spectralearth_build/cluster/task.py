"""The interface of all backends. A task is a function with small arguments, and ends in a result or a `Failure`."""

from __future__ import annotations

import errno
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spectralearth_build.errors import BuildError, ProductError
from spectralearth_build.faults import REFUSED, fault_of, number_of

T = TypeVar("T")
Look = Callable[[], None]
"""Checks the files that tasks read. Raises ArchiveError if a process does not see what the driver sees. Picklable."""

TRIES = 3
"""Maximum number of tries of a task that fails differently each time."""
EVERYBODYS = (*REFUSED, errno.EMFILE, errno.ENFILE)
"""System errors that every other task will have too: no space, read-only, too many open files."""


@dataclass(frozen=True)
class Failure:
    """A task that ended without a result. Other tasks are not affected."""

    key: str
    """The task's key, such as the tile."""
    error_class: str
    """Class name of the exception."""
    message: str
    """What happened, for readers of tables and reports."""


class Executor(Protocol):
    """Runs the tasks of a stage."""

    @property
    def workers(self) -> int:
        """Return how many tasks run at a time."""
        ...

    @property
    def memory_limit(self) -> int | None:
        """Return the memory limit per task in bytes; None: no limit."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Return whether tasks may run on other machines, where the same path may be another folder."""
        ...

    def seeing(self, look: Look) -> Executor:
        """Return the same executor, limited to workers on which ``look`` does not raise."""
        ...

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """Call ``function(*arguments)`` for each task, and yield (key, outcome) as tasks end.

        A task may run twice if a worker is lost, so it must be repeatable. Only as many tasks as keep the workers busy
        are submitted at a time. When this ends, for any reason, no task is running.

        Args:
            stage: first word of the task names in the dashboard.
            function: a function of a module, importable by the workers.
            tasks: arguments by key. Keep arguments and results small.

        Raises:
            StoppedError: A signal arrived, or the cluster disappeared.
            BuildError: An error other than `ProductError`, such as OutOfSpaceError, which concerns all tasks.
            ArchiveError: No worker passed the check of `seeing`.
        """
        ...


@dataclass(frozen=True)
class WrappedExecutor:
    """What an executor has in common with the one that it hands its tasks to."""

    inner: Executor

    @property
    def workers(self) -> int:
        """Return how many tasks run at a time."""
        return self.inner.workers

    @property
    def memory_limit(self) -> int | None:
        """Return the memory limit per task in bytes; None: no limit."""
        return self.inner.memory_limit

    @property
    def elsewhere(self) -> bool:
        """Whether they may run on other machines."""
        return self.inner.elsewhere


@dataclass(frozen=True)
class Prefixed(Mapping[str, tuple[Any, ...]]):
    """Tasks with arguments before their own, each made on request."""

    before: tuple[Any, ...]
    tasks: Mapping[str, tuple[Any, ...]]

    def __getitem__(self, key: str) -> tuple[Any, ...]:
        return *self.before, *self.tasks[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


def packed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """Return a task as bytes. The scheduler would make objects of arguments, and keep those of many ended tasks."""
    from distributed.protocol.pickle import dumps  # imported only where there is a cluster

    return zlib.compress(dumps((function, arguments)), level=1)


def attempt_packed(key: str, task: bytes) -> Any:  # noqa: ANN401
    """Run `attempt` for a task as bytes."""
    from distributed.protocol.pickle import loads

    function, arguments = loads(zlib.decompress(task))
    return attempt(key, function, arguments)


def attempt(
    key: str, function: Callable[..., T], arguments: tuple[Any, ...], last: bool = False
) -> T | Failure:
    """Run a task in this process. An error of its input becomes a `Failure` if it occurs twice.

    A slow disk, or a file that another process has just deleted, is not a fault of the tile. So an error that does not
    repeat is ignored, unless the task fails `TRIES` times in a row.

    Args:
        key: the task's key.
        function: what to call.
        arguments: its arguments.
        last: whether no other process will try it, so that lack of memory counts as the task's own fault.

    Raises:
        BuildError: Any error other than `ProductError`, because it concerns every task.
        MemoryError: There is not enough memory in this process, while others run too.
    """
    seen: list[str] = []
    while True:
        outcome = _once(key, function, arguments, last)
        if not isinstance(outcome, Failure) or outcome.error_class in seen or len(seen) + 1 == TRIES:
            return outcome
        seen.append(outcome.error_class)


def _once(key: str, function: Callable[..., T], arguments: tuple[Any, ...], last: bool) -> T | Failure:
    try:
        return function(*arguments)
    except BuildError as error:
        if not isinstance(error, ProductError):
            raise
        _raise_what_concerns_all(error)
        return Failure(key, type(error).__name__, str(error))
    except Exception as error:
        if isinstance(error, MemoryError) and not last:
            raise
        _raise_what_concerns_all(error)
        return Failure(key, type(error).__name__, f"{error} ({_where(error)})")


def _raise_what_concerns_all(error: Exception) -> None:
    """Raise errors that the machine caused, even if they are wrapped in others."""
    number = number_of(error)
    if number is not None and number[0] in EVERYBODYS and (fault := fault_of(error)):
        raise fault from error


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
