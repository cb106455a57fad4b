"""Stopping on a signal at the next safe point, never in the middle of something."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from spectralearth_build.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM make `raise_if_stopped` raise; a second signal kills as usual.

    Executors and progress bars call `raise_if_stopped` between tasks. An exception from within the handler
    could land inside an ``except Exception`` and be taken for a fault of the tile at hand. Outside of the
    main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.clear()


def is_stopped() -> bool:
    """Whether a signal has come since `stop_on_signals` began; for loops that save something before they end."""
    return bool(_received)


def raise_if_stopped() -> None:
    """A safe point.

    Raises:
        StoppedError: a signal has come since `stop_on_signals` began.
    """
    if _received:
        raise StoppedError(f"Stopped by {signal.Signals(_received[0]).name}.")


def _note(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    with suppress(OSError):  # nobody may be there to read it
        os.write(2, b"\nStopping at the next safe point; signal again to kill.\n")
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
