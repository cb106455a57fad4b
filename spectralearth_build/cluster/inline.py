"""The simplest backend, which runs tasks one by one in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spectralearth_build.cluster.task import Failure, Look, attempt
from spectralearth_build.signals import raise_if_stopped

T = TypeVar("T")


@dataclass(frozen=True)
class InlineExecutor:
    """Runs tasks in order, in this process. For tests, debuggers and small archives."""

    workers: int = 1
    memory_limit: int | None = None
    elsewhere = False

    def seeing(self, look: Look) -> InlineExecutor:
        """Return this executor: there is only one process, which is the driver."""
        return self

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`. A crash of a task crashes this process."""
        for key, arguments in tasks.items():
            raise_if_stopped()
            yield key, attempt(key, function, arguments, last=True)
