"""Measurement of the yield of windows, of time, and of this process."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FIRST: dict[str, str] = {"patches": "patches", "series": "locations_2", "pairs": "pairs"}
"""The count that each preset maximises first."""


def counts(dates: npt.NDArray[np.integer[Any]]) -> dict[str, int]:
    """Return the yield of a set of locations, given the number of dates of each."""
    many = dates.astype(np.int64)
    return {
        "patches": int(many.sum()),
        "locations": len(many),
        **{f"locations_{k}": int((many >= k).sum()) for k in (2, 3, 5)},
        "pairs": int((many * (many - 1) // 2).sum()),
    }


COUNTS = tuple(counts(np.zeros(0, np.int64)))
"""Names of the counts, in order."""


@dataclass
class Clock:
    """Elapsed seconds."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Measure wall time. The clock is set when the block ends, for any reason."""
    clock, began = Clock(), time.perf_counter()
    try:
        yield clock
    finally:
        clock.seconds = time.perf_counter() - began


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt the block after ``seconds`` of wall time. Works in the main thread only.

    Raises:
        TimeoutError: The block took longer.
    """
    late = []

    def interrupt(*_: object) -> None:
        late.append(True)
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # repeat, in case the first one is lost in a callback
    try:
        yield
    except Exception as error:
        if late:  # compiled code raises its own error when interrupted
            raise TimeoutError from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


APART = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
"""Prefix of a command to measure its own memory: on Linux, a direct child process starts with the ru_maxrss of its
parent."""


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Return the peak memory of this process, or of its largest ended child: ru_maxrss in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 1e6
