"""Recognise errors of the operating system in what libraries raise: no space, too many open files, a failing disk.

Libraries written in C or Rust raise errors of their own, which may or may not quote the system's message. Such an
error says nothing about a product or a dataset, so it must never count as damage.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from spectralearth_build.errors import ArchiveError, BuildError, MachineError, OutOfSpaceError, UsageError

Fault = OutOfSpaceError | MachineError | ArchiveError
"""An error caused by the machine, its limits or its disks."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Nothing more can be written: disk full, quota exceeded, file size limit reached."""
REFUSED = (*NO_ROOM, errno.EROFS)
"""The same, and read-only file systems."""
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""The process or the machine has run out of file descriptors or memory."""
UNREAD = (
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ENODEV,
    errno.ENXIO,
)
"""A disk or a mount cannot be read."""

_WRITABLE = "Make it writable and run the same command again. Nothing that was written is lost."
_REMEDIES = {
    errno.EFBIG: "Raise the file size limit (`ulimit -f`), or use a file system that allows larger files.",
    errno.EROFS: _WRITABLE,
    errno.EMFILE: "Type `ulimit -n 4096` or use fewer threads, then run the same command again.",
    errno.ENFILE: "The limit of the whole machine is reached. Close other programs, then run the same command again.",
    errno.ENOMEM: "Use fewer workers (run.workers) or a machine with more memory.",
}
_DISK = "Check the disk or the mount, then run the same command again. Nothing that was written is lost."
_ACCESS = "Check its owner and permissions, or use another path."
_YOURS = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.ENOENT: "Check the path, and whether its disk is mounted.",
    errno.ENOTDIR: "Give a folder.",
    errno.EISDIR: "Give a file.",
}
"""Remedies for errors that concern a single path, by errno."""
_QUOTED = re.compile(r"'([^']+)'")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.partial$")
_PROBE = 1 << 16
"""Bytes to write to find out whether a disk is full."""


def number_of(error: BaseException) -> tuple[int, str] | None:
    """The errno behind an error and the file it concerns ('' if unknown); None if it is none of those known here.

    Args:
        error: what was raised. Its causes are searched too, as is the message of errors without an errno.
    """
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _KNOWN:
            return each.errno, os.fsdecode(each.filename) if isinstance(each.filename, str | bytes) else ""
        if isinstance(each, MemoryError):
            return errno.ENOMEM, ""
        if (
            isinstance(each, Exception)
            and not isinstance(each, BuildError)
            and not getattr(each, "errno", None)
        ):
            text = str(each)
            if number := next((n for n, words in _WORDS.items() if words in text), None):
                return number, ""
    return None


def fault_of(error: BaseException, path: Path | None = None) -> Fault | None:
    """The machine's fault behind an error; None if the machine did not cause it.

    Args:
        error: what was raised.
        path: the file concerned, used if the error names none.
    """
    if isinstance(error, Fault):
        return error
    found = number_of(error)
    if found is None:
        return None
    number, name = found
    where = name or path
    if number in REFUSED:
        words = {errno.ENOSPC: "No space left on the device"}.get(number, os.strerror(number))
        return OutOfSpaceError(f"{words}.", where, _REMEDIES.get(number))
    if number in SHORT:
        return MachineError(f"{os.strerror(number)}.", where, _REMEDIES[number])
    return ArchiveError(f"{os.strerror(number)}.", where, _DISK)


def refused(error: BaseException, path: Path | None = None) -> UsageError | None:
    """The error to show when the system refuses a path that the user gave; None if the error is of another kind.

    Args:
        error: what was raised.
        path: the path to name in the message; None for the one in the error.
    """
    if not isinstance(error, OSError) or error.errno not in _YOURS:
        return None
    name = path or error.filename
    if name is None and (quoted := _QUOTED.search(str(error))):  # Arrow gives the name only in its message
        name = quoted[1]
    place = None if name is None else _TEMPORARY.sub("", os.fsdecode(name))
    return UsageError(f"{os.strerror(error.errno)}.", place, _YOURS[error.errno])


def refusal(path: Path) -> OutOfSpaceError | None:
    """The error of the disk when a little more is written to it; None if it accepts it.

    For libraries that do not say why they failed. Call it before the partial file is deleted.

    Args:
        path: a file, which is extended, or a folder.
    """
    probe = path / f".probe-{os.urandom(6).hex()}" if path.is_dir() else path
    try:
        try:
            with probe.open("ab", buffering=0) as file:
                if file.write(bytes(_PROBE)) < _PROBE:
                    file.write(bytes(_PROBE))  # its error says why the first was cut short
                os.fsync(file.fileno())
        finally:
            if probe != path:
                probe.unlink(missing_ok=True)
    except OSError as error:
        found = fault_of(error, path)
        return found if isinstance(found, OutOfSpaceError) else None
    return None


def unwritten(path: Path) -> BuildError:
    """The error for a file that differs from what a library wrote without complaint. Call it before deleting."""
    what = "The file does not read back as it was written."
    return refusal(path) or ArchiveError(what, path, _DISK)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, followed by its causes and contexts."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


_KNOWN = frozenset((*REFUSED, *SHORT, *UNREAD))
_WORDS = {number: os.strerror(number) for number in sorted(_KNOWN - {errno.ETIMEDOUT})}
"""The system's messages. Without ETIMEDOUT: object stores and servers time out with the same message."""
