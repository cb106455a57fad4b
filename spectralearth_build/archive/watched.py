"""An executor that checks the archive before a failure counts against a product."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spectralearth_build.archive.presence import PresenceCheck, away, file_system_of, noted, presence_check
from spectralearth_build.cluster.task import Executor, Failure, Look, WrappedExecutor
from spectralearth_build.errors import ArchiveError, MediumError, TimeLimitError
from spectralearth_build.storage import attach

T = TypeVar("T")

LIMIT = 60.0
"""Timeout of a check, seconds: a disk behind a broken connection never answers."""
OF_DISK = (MediumError.__name__, TimeLimitError.__name__)
"""Errors that a bad sector or a huge product may cause once, but a failing disk causes repeatedly."""
MANY, OF = 5, 10
"""If `MANY` of the last `OF` tasks failed with such errors, the disk is at fault."""


@contextmanager
def watched(
    executor: Executor, archive: Path, dataset: Path, products: Iterable[str], others: Iterable[str] = ()
) -> Iterator[Watched]:
    """Yield an executor for tasks that read products of an archive and write below a dataset.

    When a task fails, the archive is checked. If it is gone, the run ends and no product is quarantined. On a cluster,
    each worker must see archive and dataset before it gets tasks.

    Args:
        executor: runs the tasks.
        archive: folder of the products.
        dataset: the dataset.
        products: paths of the products that will be read; see `presence.presence_check`.
        others: paths of other products that were there once.

    Raises:
        ArchiveError: archive or dataset cannot be reached, now, from any worker, or when a task fails.
    """
    seen = presence_check(archive, products, others)
    if not executor.elsewhere or attach.at(dataset) is not None:
        yield Watched(executor, archive, seen)
        return
    with noted(dataset) as note:
        yield Watched(executor, archive, PresenceCheck((*seen.file_systems, note)))


@contextmanager
def sharing(executor: Executor, dataset: Path, files: Iterable[Path] = ()) -> Iterator[Executor]:
    """Yield an executor whose tasks go to workers that see a dataset, and some files, as this process does.

    Args:
        executor: runs the tasks.
        dataset: the dataset.
        files: other files that tasks read; those that do not exist are ignored.
    """
    if not executor.elsewhere:
        yield executor
        return
    file_systems = tuple(file_system_of(file) for file in files if file.is_file())
    if attach.at(dataset) is not None:
        yield executor.seeing(PresenceCheck(file_systems)) if file_systems else executor
        return
    with noted(dataset) as note:
        yield executor.seeing(PresenceCheck((*file_systems, note)))


@dataclass(frozen=True)
class Watched(WrappedExecutor):
    """See `watched` and `Executor`."""

    archive: Path
    look: PresenceCheck

    def seeing(self, look: Look) -> Watched:
        """See `Executor.seeing`."""
        return Watched(self.inner.seeing(look), self.archive, self.look)

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`."""
        executor = self.inner.seeing(self.look) if self.look.file_systems else self.inner
        latest: deque[str] = deque(maxlen=OF)
        for key, outcome in executor.run(stage, function, tasks):
            failed = outcome.error_class if isinstance(outcome, Failure) else ""
            if failed:
                look_within(self.look, self.archive)
            latest.append(failed)
            if sum(kind in OF_DISK for kind in latest) >= MANY:
                raise ArchiveError(
                    f"{MANY} of the last {len(latest)} products cannot be read ({failed}).",
                    self.archive,
                    "Check its disk or connection, then run the same command again. No product was quarantined.",
                )
            yield key, outcome


def look_within(look: Look, archive: Path, seconds: float = LIMIT) -> None:
    """Check an archive with a timeout.

    Raises:
        ArchiveError: the archive cannot be reached, or does not answer in time.
    """
    answers: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            look()
        except BaseException as error:
            answers.put(error)
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        error = answers.get(timeout=seconds)
    except queue.Empty:
        raise away(archive, f"no answer in {seconds:g} seconds") from None
    if error is not None:
        raise error
