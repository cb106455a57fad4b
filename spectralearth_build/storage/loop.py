"""The event loop of this process, in a thread of its own, on which asynchronous requests run."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine on the loop, and return its result as a future for threads."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop(os.getpid()))


@functools.lru_cache(maxsize=1)
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """Return the loop of a process; a forked child does not have its parent's thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name=f"requests-{process}").start()
    return loop
