"""Standard streams that never stop a run, even if they are closed or full.

If the reader of a pipe has ended (``| head``), the disk of a log is full, or a stream was never open, messages are
lost and the run continues. A command whose result is its output calls `require_told` at the end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from spectralearth_build.errors import OutOfSpaceError

_failures: list[OSError] = []
"""The first error on standard output, if any."""


class _Lenient(io.FileIO):
    """A file descriptor to write to; output that it refuses is lost."""

    def write(self, data: io.Buffer) -> int:  # type: ignore[name-defined]
        """Write the data, or drop it if that fails."""
        try:
            return super().write(data)
        except OSError as error:
            if self.fileno() == 1 and not _failures:
                _failures.append(error)
            return memoryview(data).nbytes


def open_streams() -> None:
    """Make the standard streams of this process lenient; call this once, before anything else opens files.

    Closed descriptors are opened on the null device. Otherwise the first file that a run opens would get the number of
    one of them, and whatever a library prints would end up in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes this number, the lowest free one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout, sys.stderr = _lenient(sys.stdout, 1), _lenient(sys.stderr, 2)


def require_told() -> None:
    """Flush standard output and check that all of it was written. A pipe that was closed early is no error.

    Raises:
        OutOfSpaceError: writing failed, so the output is incomplete.
    """
    sys.stdout.flush()
    if _failures and _failures[0].errno != errno.EPIPE:
        raise OutOfSpaceError(
            f"Standard output could not be written ({_failures[0].strerror}).",
            remedy="Free some space where the output goes, then run the same command again.",
        )


def _lenient(stream: TextIO | None, number: int) -> TextIO:
    raw = io.BufferedWriter(_Lenient(number, "w", closefd=False))
    interactive = stream is not None and bool(stream.line_buffering)
    return io.TextIOWrapper(
        raw,
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",  # never fail on characters that a terminal cannot show
        line_buffering=interactive or number == 2,
    )
