"""The totals of a job, counted by its driver and sent to the page beside Dask's dashboard."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin

from distributed import Client

from spectralearth_build.cluster.job_page import NAME, RECEIVE, JobPage
from spectralearth_build.cluster.task import Failure
from spectralearth_build.errors import printable
from spectralearth_build.progress import say
from spectralearth_build.runlog.reading import StageRecord
from spectralearth_build.runlog.writing import current
from spectralearth_build.storage.attach import shown
from spectralearth_build.texts import as_text

T = TypeVar("T")

INTERVAL = 1.0
"""Least seconds between two messages to the scheduler."""
ANSWER_LIMIT = 30
"""Seconds to wait for the scheduler when the page is added."""
FAREWELL = 5
"""Seconds to wait for the scheduler to take the last message."""


@dataclass
class JobTotals:
    """Counts the tasks of the stages of a run, and sends the totals to the scheduler now and then.

    A message that is lost, or a scheduler that does not answer, changes nothing for the run: at most one message is
    under way, and the next one has all totals again.
    """

    client: Client
    name: str
    """Of the run, unlike that of any other."""
    verb: str
    dataset: str
    stages: list[StageRecord] = field(default_factory=list)
    _told: float = 0.0
    _message: Future[Any] | None = None

    def counted(
        self, stage: StageRecord, outcomes: Iterator[tuple[str, T | Failure]]
    ) -> Iterator[tuple[str, Any]]:
        """Yield the outcomes of a stage, and count them."""
        self.stages.append(stage)
        self.tell(now=True)
        for key, outcome in outcomes:
            stage.count(time.monotonic(), key, outcome.error_class if isinstance(outcome, Failure) else "")
            self.tell()
            yield key, outcome
        stage.ended = time.monotonic()
        self.tell(now=True)

    def tell(self, now: bool = False, state: str = "running") -> None:
        """Send the totals, unless that was done just now or the message before is still under way."""
        early = not now and time.monotonic() - self._told < INTERVAL
        under_way = self._message is not None and not self._message.done()
        if early or under_way or self.client.status != "running":
            return
        self._told = time.monotonic()
        loop: Any = self.client.loop
        send = getattr(self.client.scheduler, RECEIVE)
        with suppress(RuntimeError):  # the loop is closed
            self._message = asyncio.run_coroutine_threadsafe(
                send(totals=self.document(state)), loop.asyncio_loop
            )

    def close(self, state: str) -> None:
        """Send the last totals."""
        self._wait()
        self.tell(now=True, state=state)
        self._wait()

    def document(self, state: str) -> dict[str, Any]:
        """Return the totals as the page takes them."""
        return {
            "name": self.name,
            "verb": self.verb,
            "dataset": self.dataset,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "client": self.client.id,
            "state": state,
            "stages": [_as_json(stage, time.monotonic()) for stage in self.stages],
        }

    def _wait(self) -> None:
        if self._message:
            with suppress(Exception):  # it was lost
                self._message.result(timeout=FAREWELL)


def _as_json(stage: StageRecord, now: float) -> dict[str, Any]:
    return {
        "name": stage.name,
        "tasks": stage.tasks,
        "done": stage.done,
        "failed": stage.over - stage.done,
        "rate": stage.rate(),
        "seconds": (stage.ended or now) - stage.began,
        "left": None if stage.ended else stage.left(),
    }


@contextmanager
def shown_totals(client: Client, wanted: bool = True) -> Iterator[tuple[JobTotals | None, str]]:
    """Add the page to the scheduler, and yield what counts for it.

    A scheduler that does not take the page, because it is old, has no such package or forbids plugins, has none. Then
    the totals are None.

    Args:
        client: of the scheduler.
        wanted: whether there are to be a dashboard and this page.

    Yields:
        The totals, and the end of a line that says where dashboard and page are, such as ``, dashboard ADDRESS``.
    """
    if not wanted:
        yield None, ""
        return
    link = client.dashboard_link or ""
    try:
        client.sync(client.register_plugin, JobPage(), callback_timeout=ANSWER_LIMIT)
    except Exception as error:
        say(f"The scheduler shows no totals of the job: {type(error).__name__}: {printable(str(error))}")
        yield None, f", dashboard {link}"
        return
    totals = _totals(client)
    try:
        yield totals, f", dashboard {link}, totals {urljoin(link, NAME)}"
    except BaseException as error:
        totals.close(f"ended with {type(error).__name__}")
        raise
    totals.close("done")


def _totals(client: Client) -> JobTotals:
    log = current()
    if log is None:
        return JobTotals(client, client.id, "run", "")
    dataset = as_text(shown(log.dataset))
    name = f"{socket.gethostname()}-{log.path.stem}-{dataset}"  # the same if the run connects a second time
    return JobTotals(client, name, log.verb, dataset, log.stages)
