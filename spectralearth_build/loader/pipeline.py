"""Threads that fill batches ahead of whoever uses them, into a ring of buffers that is made once.

Threads take one sample at a time, always of the earliest batch that has some left, so the next batch is ready as soon
as possible, however many threads there are. Batches come in order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class PendingBatch(Generic[T]):
    """A batch on its way."""

    slot: int
    """Number of the buffer that it fills."""
    items: list[T]
    """Its samples; what `Fill` returns takes their place."""
    left: int = 0
    """Samples that are not there yet."""
    errors: dict[int, BaseException] = field(default_factory=dict)
    """What went wrong, by sample."""


Fill = Callable[[T, int, int], T]
"""Reads a sample into (slot, place in the batch); returns the sample that was read."""


class Pipeline(Generic[T]):
    """Fills batches with threads.

    Args:
        batches: the samples of each batch; asked by one thread at a time.
        fill: reads one sample; called by all threads.
        slots: numbers of the buffers that are free.
        threads: number of threads.
    """

    def __init__(self, batches: Iterator[list[T]], fill: Fill[T], slots: Iterable[int], threads: int) -> None:
        self._batches, self._fill = batches, fill
        self._changed = threading.Condition()
        self._free = deque(slots)
        self._jobs: deque[PendingBatch[T]] = deque()
        self._work: deque[tuple[PendingBatch[T], int]] = deque()
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, daemon=True, name=f"loader-{k}") for k in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def next(self) -> PendingBatch[T] | None:
        """Wait for the next batch; None after the last, or once closed.

        Raises:
            Exception: whatever reading its first unreadable sample raised.
        """
        with self._changed:
            self._changed.wait_for(self._settled)
            if self._stopped:
                return None
            if not self._jobs:
                if self._error is not None:
                    raise self._error
                return None
            job = self._jobs.popleft()
        if job.errors:
            raise job.errors[min(job.errors)]
        return job

    def _settled(self) -> bool:
        """Whether the next batch is there, or none will come."""
        return self._stopped or (self._jobs[0].left == 0 if self._jobs else self._ended)

    def release(self, slot: int) -> None:
        """Say that a buffer may be filled again."""
        with self._changed:
            self._free.append(slot)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop; waits for the samples being read, not for more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self) -> None:
        while (task := self._take()) is not None:
            job, place = task
            try:
                job.items[place] = self._fill(job.items[place], job.slot, place)
            except BaseException as error:  # whoever asks for the batch gets it
                job.errors[place] = error
            with self._changed:
                job.left -= 1
                if job.left == 0:
                    self._changed.notify_all()

    def _take(self) -> tuple[PendingBatch[T], int] | None:
        """The next sample to read, once there is one; None if there is nothing left to do."""
        with self._changed:
            while not self._stopped:
                if self._work:
                    return self._work.popleft()
                if self._ended:
                    return None
                if self._free:
                    self._begin()
                else:
                    self._changed.wait()
            return None

    def _begin(self) -> None:
        """Start the next batch in a free buffer."""
        try:
            items = next(self._batches, None)
        except BaseException as error:
            self._error, items = error, None
        if items is None:
            self._ended = True
        else:
            job = PendingBatch(self._free.popleft(), items, len(items))
            self._jobs.append(job)
            self._work.extend((job, place) for place in range(len(items)))
        self._changed.notify_all()
