"""What is measured: the yield of windows, time, and this process."""

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
"""For each preset, the count that it puts first."""


def counts(dates: npt.NDArray[np.integer[Any]]) -> dict[str, int]:
    """Yield of a set of locations, given how many dates each has."""
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
    """Seconds between two moments."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Measure wall time; the clock is right once the block is left, however it is left."""
    clock, began = Clock(), time.perf_counter()
    try:
        yield clock
    finally:
        clock.seconds = time.perf_counter() - began


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many seconds of wall time; main thread only.

    Raises:
        TimeoutError: it took longer.
    """
    late = []

    def interrupt(*_: object) -> None:
        late.append(True)
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, should the first one be lost in a callback
    try:
        yield
    except Exception as error:
        if late:  # compiled code makes an error of its own of what interrupts it
            raise TimeoutError from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


APART = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
"""Put before a command whose memory is to be its own: on Linux, what a process starts directly begins with the
ru_maxrss of its parent."""


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Most memory that this process has held so far, or the largest of its ended children: ru_maxrss, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 1e6
