"""Threads that prefetch batches into a ring of buffers, which is allocated once.

Each thread takes one sample at a time, always from the earliest unfinished batch. So the next batch is ready as soon as
possible, with any number of threads. Batches are returned in order.
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
    """A batch in progress."""

    slot: int
    """Index of the buffer that it fills."""
    items: list[T]
    """Its samples, replaced by the return values of `Fill`."""
    left: int = 0
    """Number of samples that are still missing."""
    errors: dict[int, BaseException] = field(default_factory=dict)
    """Errors, by sample."""


Fill = Callable[[T, int, int], T]
"""Reads a sample into (slot, position in the batch), and returns the sample that was read."""


class Pipeline(Generic[T]):
    """A pool of threads that fill batches.

    Args:
        batches: the samples of each batch; consumed by one thread at a time.
        fill: reads one sample; called from all threads.
        slots: indices of the free buffers.
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
        """Wait for the next batch. Returns None after the last, or once closed.

        Raises:
            Exception: The error of the first sample that could not be read.
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
        """Return whether the next batch is ready, or none will follow."""
        return self._stopped or (self._jobs[0].left == 0 if self._jobs else self._ended)

    def release(self, slot: int) -> None:
        """Mark a buffer as free to be filled again."""
        with self._changed:
            self._free.append(slot)
            self._changed.notify_all()

    def stop(self) -> None:
        """Begin no further sample."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop. Waits only for the samples that are being read."""
        self.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self) -> None:
        while (task := self._take()) is not None:
            job, place = task
            try:
                job.items[place] = self._fill(job.items[place], job.slot, place)
            except BaseException as error:  # raised when the batch is requested
                job.errors[place] = error
            with self._changed:
                job.left -= 1
                if job.left == 0:
                    self._changed.notify_all()

    def _take(self) -> tuple[PendingBatch[T], int] | None:
        """Wait for the next sample to read; None if there is nothing left to do."""
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
        """Begin the next batch in a free buffer."""
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
