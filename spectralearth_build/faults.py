"""What an error of the system means, however a library words it: no space, too few open files, a failing disk.

Libraries written in C or Rust raise errors of their own that may or may not repeat the system's words. Such an error
says nothing about a product or a dataset, so it must never count as damage.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from spectralearth_build.errors import ArchiveError, BuildError, MachineError, OutOfSpaceError, UsageError

Fault = OutOfSpaceError | MachineError | ArchiveError
"""What the machine, its limits or its disks are to blame for."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Nothing more can be written there: disk full, quota exceeded, limit of a file's size."""
REFUSED = (*NO_ROOM, errno.EROFS)
"""The same, or a file system that is read-only."""
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""The process, or the machine, has too few of something."""
UNREAD = (
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ENODEV,
    errno.ENXIO,
)
"""A disk, or a mount, does not give what is on it."""

_WRITABLE = "Make it writable and run the same command again; nothing that was written is lost."
_REMEDIES = {
    errno.EFBIG: "Raise the limit on a file's size (`ulimit -f`), or use a file system that holds larger files.",
    errno.EROFS: _WRITABLE,
    errno.EMFILE: "Raise the limit with `ulimit -n 4096`, or use fewer threads, and run the same command again.",
    errno.ENFILE: "The limit of the whole machine is reached. Close other programs and run the same command again.",
    errno.ENOMEM: "Use fewer workers (run.workers) or a machine with more memory.",
}
_DISK = "Check the disk or the mount, and run the same command again; nothing that was written is lost."
_ACCESS = "Check its owner and permissions, or give another path."
_YOURS = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.ENOENT: "Check the path, and that its disk is mounted.",
    errno.ENOTDIR: "Give a folder.",
    errno.EISDIR: "Give a file.",
}
"""What a user does about refusals that concern one place only, by the system's number."""
_QUOTED = re.compile(r"'([^']+)'")
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.partial$")
_PROBE = 1 << 16
"""Bytes that are written to find out whether a disk is full."""


def number_of(error: BaseException) -> tuple[int, str] | None:
    """The system's number behind an error, and the file it was about ('' if unknown); None if there is none of these.

    Args:
        error: what was raised; what it was raised from counts too, and the words of errors that have no number.
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
    """What the machine is to blame for in an error; None if it is not.

    Args:
        error: what was raised.
        path: the file concerned, where the error does not name one.
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
    """What the system says about a place that users name, with what to do; None if it is nothing of the kind.

    Args:
        error: what was raised.
        path: what to name; None: what the error names.
    """
    if not isinstance(error, OSError) or error.errno not in _YOURS:
        return None
    name = path or error.filename
    if name is None and (quoted := _QUOTED.search(str(error))):  # Arrow tells the name in its words only
        name = quoted[1]
    place = None if name is None else _TEMPORARY.sub("", os.fsdecode(name))
    return UsageError(f"{os.strerror(error.errno)}.", place, _YOURS[error.errno])


def refusal(path: Path) -> OutOfSpaceError | None:
    """What the disk says when it is asked to take a little more; None if it does.

    For libraries that do not say why they failed, and before what they have half written is deleted.

    Args:
        path: a file, which becomes longer, or a folder.
    """
    probe = path / f".probe-{os.urandom(6).hex()}" if path.is_dir() else path
    try:
        try:
            with probe.open("ab", buffering=0) as file:
                if file.write(bytes(_PROBE)) < _PROBE:
                    file.write(bytes(_PROBE))  # says why the first was cut short
                os.fsync(file.fileno())
        finally:
            if probe != path:
                probe.unlink(missing_ok=True)
    except OSError as error:
        found = fault_of(error, path)
        return found if isinstance(found, OutOfSpaceError) else None
    return None


def unwritten(path: Path) -> BuildError:
    """The error for a file that is not what was written to it, before it is deleted: not all libraries say so."""
    what = "It cannot be read back as it was written."
    return refusal(path) or ArchiveError(what, path, _DISK)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from or while."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


_KNOWN = frozenset((*REFUSED, *SHORT, *UNREAD))
_WORDS = {number: os.strerror(number) for number in sorted(_KNOWN - {errno.ETIMEDOUT})}
"""What the system calls them; object stores and servers time out too, in the same words."""
