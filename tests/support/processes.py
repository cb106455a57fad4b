"""Processes that tests start: they find the package and the tests from any working directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
PATIENCE = 240
"""Seconds that a test waits for another process on a busy machine before it fails."""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with the project on the path of Python, and ``changes``."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return os.environ | {"PYTHONPATH": path} | changes


@contextmanager
def started(command: Sequence[object], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that hears Ctrl-C and is gone afterwards, with its pipes, however the test ends.

    A shell starts what it runs in the background with SIGINT ignored, and so would be what the tests start there.
    """
    options = {"text": True, "env": environment(), "preexec_fn": _hear_interrupts} | options
    with subprocess.Popen([str(word) for word in command], **options) as process:
        try:
            yield process
        finally:
            process.kill()


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(condition: Callable[[], Any]) -> Any:
    """What ``condition`` returns, once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so after {PATIENCE} s"
        time.sleep(0.02)
    return found


def at_work(pid: int) -> bool:
    """Whether a process still runs: it is there, and has not ended without its parent having noticed."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
