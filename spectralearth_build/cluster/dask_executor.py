"""Execution of tasks on a Dask cluster, local or existing."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from distributed import CancelledError, Client, Future, performance_report

from spectralearth_build.cluster.isolate import run_alone
from spectralearth_build.cluster.job_totals import JobTotals
from spectralearth_build.cluster.requirements import NOTHING, Required
from spectralearth_build.cluster.sight import LOST, Blind, Sight, attempt_there, everything
from spectralearth_build.cluster.task import Failure, Look, attempt_packed, packed
from spectralearth_build.errors import BuildError, StoppedError
from spectralearth_build.files import replacing
from spectralearth_build.progress import say
from spectralearth_build.runlog.reading import StageRecord
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.texts import counted

T = TypeVar("T")

SPARE = 2
"""Number of tasks submitted beyond one per thread, so that no worker waits for the driver: at least so many, and if
tasks are short, as many as ended within `AHEAD`."""
AHEAD = 1.0
"""Seconds for which workers have tasks if the driver is busy. Not more, because the time limit of a task includes its
wait, and because a task that waits for one worker may be late for another."""
TICK = 0.5
"""Seconds between checks of signals, deadlines and lost workers."""
SILENCE = 300
"""Seconds without any result after which the user is told which tasks are running."""
_ANSWER_LIMIT = 60
"""Seconds to wait for a response of the scheduler."""
_FETCH_LIMIT = 60
"""Seconds to wait for a result that is reported as available."""
_RESTART_LIMIT = 20
"""Seconds to wait for a worker to be killed (5 if it hangs) and to restart."""


@dataclass(frozen=True)
class DaskExecutor:
    """Runs tasks through a connected client; see `Executor`."""

    client: Client
    workers: int
    memory_limit: int | None
    task_timeout: float
    """Seconds after which a task is removed from its worker and run alone."""
    restore: Callable[[], None]
    """Called periodically to replace workers that were lost for good."""
    elsewhere: bool = False
    """Whether the cluster existed before, so that workers may be on other machines."""
    look: Look | None = None
    """Check that workers must pass to get tasks; None: no check."""
    said: set[str] = field(default_factory=set)
    """Workers that were reported to get no tasks."""
    required: Required = NOTHING
    """What workers of an existing cluster must have."""
    totals: JobTotals | None = None
    """Counts for the page beside the dashboard; None: there is none."""

    def seeing(self, look: Look) -> DaskExecutor:
        """See `Executor.seeing`. Workers of a local cluster see what the driver sees, so they are not checked."""
        return replace(self, look=look) if self.elsewhere else self

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`. Tasks whose workers died run last, each in its own process."""
        outcomes = self._outcomes(stage, function, tasks)
        if tasks and self.totals:
            record = StageRecord.starting(stage, len(tasks), self.workers, time.monotonic())
            outcomes = self.totals.counted(record, outcomes)
        return outcomes

    def _outcomes(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        work = _StageRun(self, stage, function, tasks, f"{stage}-{{}}-{uuid.uuid4().hex[:8]}")
        try:
            if tasks and work.sight:
                work.sight.begin()
            yield from work.done()
        finally:
            work.cancel()
        if work.suspects:
            say(f"{stage}: {counted(len(work.suspects), 'task')} lost the worker; each runs again on its own")
        for key in work.suspects:
            raise_if_stopped()
            yield key, run_alone(key, function, tasks[key], self.task_timeout, self.memory_limit)


@dataclass(frozen=True)
class _Running:
    """A submitted task."""

    future: Future[Any]
    since: float
    """When it was submitted."""
    workers: frozenset[str] | None
    """Workers that may run it; None: all."""


@dataclass
class _StageRun:
    """The tasks of one stage and their state on the cluster."""

    executor: DaskExecutor
    stage: str
    function: Callable[..., Any]
    tasks: Mapping[str, tuple[Any, ...]]
    name: str
    """Pattern of task names. Unique to this run, because others may use the same scheduler."""
    pending: dict[str, _Running] = field(default_factory=dict)
    """The submitted tasks, by key."""
    again: list[str] = field(default_factory=list)
    """Keys of tasks to submit again, because the worker or the connection was at fault."""
    suspects: list[str] = field(default_factory=list)
    """Keys of tasks to run alone."""
    last_word: float = field(default_factory=time.monotonic)
    """Time when a task ended last, or when it was reported that none does."""
    sight: Sight | None = None
    """Tracks which workers see the required files; None: all do."""
    _ends: deque[float] = field(default_factory=deque)
    """When tasks ended within the last `AHEAD` seconds."""
    _change: threading.Event = field(default_factory=threading.Event)
    """Set when a future changes its state."""
    _next_look: float = 0.0
    """When to look around next. Each time, the scheduler lists all workers."""
    _left: int = 0
    """Number of tasks that are neither done nor suspects."""
    _submitted: int = 0

    def __post_init__(self) -> None:
        self._left = len(self.tasks)
        if self.executor.elsewhere:
            look = self.executor.look or everything
            self.sight = Sight(self.executor.client, look, self.executor.said, self.executor.required)

    def done(self) -> Iterator[tuple[str, Any]]:
        """Yield (key, outcome) of every task that ends on the cluster. The others become `suspects`."""
        waiting = iter(self.tasks.items())
        while self._left:
            self._submit(waiting)
            ended = self._ended()
            for key, outcome in self._outcomes(ended):
                del self.pending[key]
                if isinstance(outcome, Blind) and self.sight:
                    self.sight.rule_out(outcome)
                    self.again.append(key)
                else:
                    self._left -= 1
                    yield key, outcome
            self._report_silence(bool(ended))
            if time.monotonic() >= self._next_look:
                self._look_around()
                self._drop_overdue()
                self.executor.restore()
                if self.executor.totals:
                    self.executor.totals.tell()
                self._next_look = time.monotonic() + TICK

    def cancel(self) -> None:
        """Cancel all submitted tasks. Afterwards none is running, so their files may be deleted."""
        client = self.executor.client
        if self.pending and client.status == "running":
            futures = {running.future.key: running.future for running in self.pending.values()}
            busy = self._busy_with(futures.keys())
            client.cancel(list(futures.values()), force=True)
            self._restart(busy)
        self.pending.clear()

    def _submit(self, waiting: Iterator[tuple[str, tuple[Any, ...]]]) -> None:
        """Submit tasks up to the limit, as long as there are workers that may run them."""
        may = frozenset(self.sight.good) if self.sight else None
        names, limit = None if may is None else sorted(may), self._limit()
        while len(self.pending) < limit and may != frozenset():
            key, arguments = self._next(waiting)
            if key is None:
                break
            self._submitted += 1
            future = self.executor.client.submit(
                *(attempt_there if self.sight else attempt_packed, key, packed(self.function, arguments)),
                *([self.sight.look] if self.sight else []),
                key=f"{self.name.format(key)}-{self._submitted}",
                pure=False,
                workers=names,
            )
            self.pending[key] = _Running(future, time.monotonic(), may)
            future.add_done_callback(lambda _: self._change.set())

    def _limit(self) -> int:
        """Return how many tasks to have submitted. Workers of an existing cluster come and go."""
        now = time.monotonic()
        while self._ends and self._ends[0] < now - AHEAD:
            self._ends.popleft()
        threads = self.sight.threads if self.sight else self.executor.workers
        return threads + max(SPARE, min(threads, len(self._ends)))

    def _next(self, waiting: Iterator[tuple[str, tuple[Any, ...]]]) -> tuple[str | None, tuple[Any, ...]]:
        if self.again:
            key = self.again.pop()
            return key, self.tasks[key]
        return next(waiting, (None, ()))

    def _look_around(self) -> None:
        """Check new workers, and resubmit tasks that were limited to workers which no longer exist."""
        if self.sight is None:
            return
        self.sight.update()
        for key, running in list(self.pending.items()):
            if running.workers is not None and not running.workers & self.sight.good:
                running.future.cancel(force=True)
                del self.pending[key]
                self.again.append(key)

    def _ended(self) -> list[str]:
        """Wait briefly, and return the keys of tasks that have ended."""
        self._change.wait(TICK)
        self._change.clear()
        raise_if_stopped()
        if self.executor.client.status != "running":
            raise StoppedError(LOST)
        ended = [key for key, running in self.pending.items() if running.future.status != "pending"]
        self._ends.extend([time.monotonic()] * len(ended))
        return ended

    def _outcomes(self, ended: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield the results of tasks that have ended. Those without a result become `suspects`, or are awaited."""
        futures = [self.pending[key].future for key in ended]
        if len(futures) > 1 and all(future.status == "finished" for future in futures):
            with suppress(Exception, CancelledError):  # a result that was lost with its worker; see below
                client = self.executor.client
                results = client.sync(client._gather, futures, callback_timeout=_FETCH_LIMIT)
                yield from zip(ended, results, strict=True)
                return
        for key, future in zip(ended, futures, strict=True):
            try:
                outcome = future.result(timeout=_FETCH_LIMIT)
            except BuildError:
                raise
            except TimeoutError:
                continue  # the result was lost with its worker and is being recomputed
            except (
                CancelledError
            ):  # the connection was lost and is there again: the scheduler has forgotten the task
                del self.pending[key]
                self.again.append(key)
            except Exception:  # KilledWorker, not an error of the task
                self._suspect(key)
            else:
                yield key, outcome

    def _drop_overdue(self) -> None:
        """Free the workers of tasks that seem to hang. Running them alone shows whether they do."""
        limit = time.monotonic() - self.executor.task_timeout
        overdue = {r.future.key: key for key, r in self.pending.items() if r.since < limit}
        if not overdue:
            return
        say(f"{self.stage}: no result after {self.executor.task_timeout:g} s: {', '.join(overdue.values())}")
        busy = self._busy_with(overdue.keys())
        for key in overdue.values():
            self._suspect(key)
        self._restart(busy)

    def _busy_with(self, names: Set[Any]) -> list[str]:
        """Return the workers that have these tasks. The scheduler is asked, because a hung worker does not respond."""
        client = self.executor.client
        assert client.scheduler is not None  # the client is connected
        try:
            held = client.sync(client.scheduler.processing, workers=None, callback_timeout=_ANSWER_LIMIT)
        except TimeoutError as error:
            raise StoppedError("The Dask scheduler no longer responds.") from error
        return [worker for worker, tasks in held.items() if names & set(tasks)]

    def _restart(self, workers: list[str]) -> None:
        """Restart workers, since Dask cannot stop a running task otherwise."""
        # Workers without a nanny cannot be restarted (ValueError). Others may be gone already (KeyError).
        with suppress(ValueError, KeyError):
            self.executor.client.restart_workers(workers, timeout=_RESTART_LIMIT, raise_for_error=False)

    def _report_silence(self, ended: bool) -> None:
        """Report periodically that no task ends, and which ones are running."""
        now = time.monotonic()
        if ended or not self.pending:
            self.last_word = now
        elif now - self.last_word > SILENCE:
            self.last_word = now
            oldest = sorted(self.pending, key=lambda key: self.pending[key].since)[: self.executor.workers]
            say(f"{self.stage}: no task has ended for {SILENCE // 60} minutes; running: {', '.join(oldest)}")

    def _suspect(self, key: str) -> None:
        self.pending.pop(key).future.cancel(force=True)
        self._left -= 1
        self.suspects.append(key)


@contextmanager
def reporting(path: str) -> Iterator[None]:
    """Save the performance report of Dask for this context to ``path``, unless it is empty."""
    if not path:
        yield
        return
    with replacing(Path(path)) as temporary, performance_report(filename=str(temporary), mode="inline"):
        yield
    say(f"Dask's performance report: {path}")
