"""The event loop of this process, in a thread of its own, on which asynchronous requests run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine on the loop, and return its result as a future for threads."""
    return asyncio.run_coroutine_threadsafe(coroutine, _own.loop())


class _Own:
    """The loop, made when it is first needed. There must be one only, because requests wait for each other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which runs."""
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True, name="requests").start()
            return self._loop


_own = _Own()


def _forget() -> None:
    """Begin anew in a forked process, which does not have its parent's thread."""
    global _own
    _own = _Own()


os.register_at_fork(after_in_child=_forget)
