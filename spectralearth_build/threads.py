"""Threads that work ahead of a consumer that takes the results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that starts jobs in the order of submission; on exit, waiting jobs are cancelled."""
    pool = ThreadPoolExecutor(count, "cut")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(pool: ThreadPoolExecutor, jobs: Iterable[Callable[[], T]], depth: int) -> Iterator[T]:
    """Yield the results of jobs in order; at most ``depth`` jobs are running or have results that wait.

    Raises:
        Exception: that of the first job, in order, that fails.
    """
    waiting: deque[Future[T]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
