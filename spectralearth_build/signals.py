"""Stop on a signal at the next safe point, never in the middle of an operation."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from spectralearth_build.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []
_reasons: list[StoppedError] = []


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Make `raise_if_stopped` raise after SIGINT or SIGTERM; a second signal kills the process as usual.

    Executors and progress bars call `raise_if_stopped` between tasks. An exception raised by the handler itself
    could be caught by an ``except Exception`` and be taken for an error of the current tile. Outside the main
    thread, where Python handles no signals, and inside another `stop_on_signals`, this does nothing.
    """
    within = _received or signal.getsignal(SIGNALS[0]) is _note
    if within or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.clear()


@contextmanager
def stoppable(reason: StoppedError) -> Iterator[Callable[[], None]]:
    """Yield a function that stops the work inside this context at its next safe point, from any thread.

    Args:
        reason: what `raise_if_stopped` then raises.
    """
    try:
        yield lambda: _reasons.append(reason)
    finally:
        _reasons[:] = [other for other in _reasons if other is not reason]


def is_stopped() -> bool:
    """Whether a signal was received since `stop_on_signals` began, for loops that save something before they end."""
    return bool(_received or _reasons)


def raise_if_stopped() -> None:
    """Mark a safe point, at which a signal may stop the run.

    Raises:
        StoppedError: a signal was received since `stop_on_signals` began, or there is another reason to stop.
    """
    raise_if_told()
    if _received:
        raise StoppedError(f"Stopped by {signal.Signals(_received[0]).name}.")


def raise_if_told() -> None:
    """Mark a point of no return: it is not passed if another run has taken over, but a signal does not stop it.

    Raises:
        StoppedError: the function of `stoppable` was called.
    """
    for reason in _reasons:
        raise reason


def _note(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"\nStopping at the next safe point; signal again to kill.\n")
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
