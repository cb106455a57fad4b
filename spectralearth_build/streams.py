"""Standard streams of the command line: a closed or full stream stops no run.

A reader that went away (``| head``), a log on a full disk, a stream that was never open: messages go nowhere, and the
run goes on. Whose result is what it prints asks `require_told` at its end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from spectralearth_build.errors import OutOfSpaceError

_failures: list[OSError] = []
"""The first error of standard output, if there was one."""


class _Lenient(io.FileIO):
    """A descriptor to write to; what it does not take is lost."""

    def write(self, data: io.Buffer) -> int:  # type: ignore[name-defined]
        """Write, or lose it."""
        try:
            return super().write(data)
        except OSError as error:
            if self.fileno() == 1 and not _failures:
                _failures.append(error)
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make the standard streams of this process lenient; call it once, before anything else opens files.

    A descriptor that is closed is opened on the null device: else the first file that a run opens gets its number, and
    whatever a library prints lands in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout, sys.stderr = _lenient(sys.stdout, 1), _lenient(sys.stderr, 2)


def require_told() -> None:
    """Flush standard output and see whether it was taken; a reader that had enough is no failure.

    Raises:
        OutOfSpaceError: it was not, so something is missing where it went.
    """
    sys.stdout.flush()
    if _failures and _failures[0].errno != errno.EPIPE:
        raise OutOfSpaceError(
            f"Standard output could not be written ({_failures[0].strerror}).",
            remedy="Free some space there and run the same command again.",
        )


def _lenient(stream: TextIO | None, number: int) -> TextIO:
    raw = io.BufferedWriter(_Lenient(number, "w", closefd=False))
    interactive = stream is not None and bool(stream.line_buffering)
    return io.TextIOWrapper(
        raw,
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",  # whatever a terminal cannot show, nothing fails on it
        line_buffering=interactive or number == 2,
    )
