"""Tasks that workers of the tests can import."""

import errno
import os
import signal
import time
from pathlib import Path

from spectralearth_build.errors import EmptyFileError, OutOfSpaceError, UsageError


def square(number):
    return number * number


def broken_product(path):
    raise EmptyFileError("The file is empty.", path)


def bug():
    return {}["absent"]


def full(path):
    raise OutOfSpaceError("No space left.", path)


def full_below():
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/x.tif")


def wrong_use():
    raise UsageError("Not like this.")


def environment(names):
    return {name: os.environ.get(name) for name in names}


def crash(number=signal.SIGSEGV):
    os.kill(os.getpid(), number)
    time.sleep(10)


def killed_the_first_times(notes, times):
    """Dies by SIGKILL ``times`` times, leaving a file in ``notes`` for each try; then lives."""
    tries = len(list(Path(notes).iterdir()))
    (Path(notes) / f"{tries}").touch()
    if tries < times:
        crash(signal.SIGKILL)
    return tries


def note_and_sleep(notes, seconds):
    """Leaves a file named after the process, then sleeps."""
    (Path(notes) / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(seconds)
    return seconds


def process_id():
    return os.getpid()


def call(name, *arguments):
    """Tasks of one stage share a function; this one does whatever the test wants."""
    return globals()[name](*arguments)


def leave(notes, status):
    """Ends its process, leaving a file in ``notes``."""
    (Path(notes) / f"{time.monotonic_ns()}").touch()
    os._exit(status)


def hoard(megabytes):
    """Takes memory in steps of that size until it is stopped."""
    taken = []
    while True:
        taken.append(b"x" * (megabytes << 20))
        time.sleep(0.05)


def raise_once(notes):
    """Fails in another way each time, and then not."""
    tries = len(list(Path(notes).iterdir()))
    (Path(notes) / f"{tries}").touch()
    if tries < 2:
        raise (OSError, ValueError)[tries]("only once")
    return "done"


def no_memory_here(notes):
    """There is no memory on the first process that tries."""
    (Path(notes) / f"{os.getpid()}").touch()
    if len(list(Path(notes).iterdir())) == 1:
        raise MemoryError
    return os.getpid()


def no_memory():
    raise MemoryError


def where(seconds):
    """Take some time; returns the process that did."""
    time.sleep(seconds)
    return os.getpid()
