"""Execution of tasks on folders that represent locations on an object store. Attachments are sent with each task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.task import Executor, Failure, Look, Prefixed, WrappedExecutor
from spectralearth_build.storage.attach import Attachment, attached, current

T = TypeVar("T")


def with_attachments(executor: Executor) -> Executor:
    """Return an executor whose tasks have the attachments of this process; the same executor if there are none."""
    attachments = current()
    return AttachedExecutor(executor, attachments) if attachments else executor


def call_attached(attachments: tuple[Attachment, ...], function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401
    """Call a function with these attachments."""
    with attached(*attachments):
        return function(*arguments)


@dataclass(frozen=True)
class AttachedExecutor(WrappedExecutor):
    """Runs tasks with attachments on another executor; see `Executor`."""

    attachments: tuple[Attachment, ...]

    def seeing(self, look: Look) -> AttachedExecutor:
        """See `Executor.seeing`."""
        return AttachedExecutor(self.inner.seeing(look), self.attachments)

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`. At the end, files that tasks wrote on other machines are registered here too."""
        yield from self.inner.run(stage, call_attached, Prefixed((self.attachments, function), tasks))
        if tasks and not isinstance(self.inner, InlineExecutor):
            for each in self.attachments:
                each.catch_up()
