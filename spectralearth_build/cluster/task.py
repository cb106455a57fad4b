"""What a task is to every backend: a function and small arguments, that end in a result or a `Failure`."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spectralearth_build.errors import BuildError, ProductError
from spectralearth_build.faults import REFUSED, fault_of, number_of

T = TypeVar("T")
Look = Callable[[], None]
"""Looks at what tasks read; raises ArchiveError where a process does not see what the driver saw. Can be pickled."""

TRIES = 3
"""How often a task is tried that ends in another way each time."""
EVERYBODYS = (*REFUSED, errno.EMFILE, errno.ENFILE)
"""System errors that every other task will meet too: no space, read-only, too many open files."""


@dataclass(frozen=True)
class Failure:
    """A task that ended without a result; the others are not concerned."""

    key: str
    """The task's key, such as the tile."""
    error_class: str
    """Name of the exception's class."""
    message: str
    """What happened, for the reader of tables and reports."""


class Executor(Protocol):
    """Something that runs the tasks of a stage."""

    @property
    def workers(self) -> int:
        """How many tasks run at a time."""
        ...

    @property
    def memory_limit(self) -> int | None:
        """Bytes that each of them may use; None: not limited."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Whether tasks may run on other machines, where the same path may be another folder."""
        ...

    def seeing(self, look: Look) -> Executor:
        """The same executor, which gives tasks only to workers where ``look`` raises nothing."""
        ...

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """Call ``function(*arguments)`` for each task and yield (key, outcome) as they end.

        A task may run twice when a worker is lost, so it must be repeatable. Only as many tasks as keep the
        workers busy are under way at any time. When this ends, however it ends, none of them is running.

        Args:
            stage: first word of the task's name in the dashboard.
            function: a function of a module, importable by the workers.
            tasks: arguments by key; keep them, and the results, small.

        Raises:
            StoppedError: a signal came, or the cluster went away.
            BuildError: one that is no `ProductError`, such as OutOfSpaceError: it concerns all tasks.
            ArchiveError: of those asked by `seeing`, no worker sees what it should.
        """
        ...


@dataclass(frozen=True)
class WrappedExecutor:
    """What an executor has in common with the one that it hands its tasks to."""

    inner: Executor

    @property
    def workers(self) -> int:
        """How many tasks run at a time."""
        return self.inner.workers

    @property
    def memory_limit(self) -> int | None:
        """Bytes that each of them may use; None: not limited."""
        return self.inner.memory_limit

    @property
    def elsewhere(self) -> bool:
        """Whether they may run on other machines."""
        return self.inner.elsewhere


def attempt(
    key: str, function: Callable[..., T], arguments: tuple[Any, ...], last: bool = False
) -> T | Failure:
    """Run a task here; what is wrong with its input becomes a `Failure`, if it is so twice.

    A disk that answers late, a file that another process has just deleted, are no fault of the tile: what ends
    differently the next time does not count, unless it fails `TRIES` times in a row.

    Args:
        key: the task's key.
        function: what to call.
        arguments: with what.
        last: no other process will try it, so lack of memory counts as the task's own fault.

    Raises:
        BuildError: any that is no `ProductError`, because it concerns every task.
        MemoryError: there is not enough here, where others work too.
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
    """Raise what the machine is to blame for, whoever met it first and however it was wrapped."""
    number = number_of(error)
    if number is not None and number[0] in EVERYBODYS and (fault := fault_of(error)):
        raise fault from error


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
