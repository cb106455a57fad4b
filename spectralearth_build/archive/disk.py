"""Whether a file can be read at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from spectralearth_build.errors import (
    EmptyFileError,
    MachineError,
    MediumError,
    MissingFileError,
    ProductError,
    UnreadableFileError,
)

PIECE = 2**20
_GONE = (errno.ENOENT, errno.ENOTDIR)
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)
_OF_NAME = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
"""What the file's own permissions or name may cause; all else comes from the disk or the connection."""


def require_readable(path: Path) -> int:
    """Make sure that a file can be opened and holds something; returns its size in bytes.

    Raises:
        MissingFileError: it is not there, or is no regular file.
        EmptyFileError: it has no bytes.
        UnreadableFileError: the system refuses to open it, or (MediumError) to read it.
        MachineError: this process has no file descriptor left.
    """
    try:
        if not path.is_file():
            raise MissingFileError("There is no such file.", path)
        with path.open("rb") as file:
            if not file.read(1):
                raise EmptyFileError("The file is empty.", path)
        return path.stat().st_size
    except OSError as error:
        raise unreadable(error, path) from error


def read_ahead(path: Path) -> None:
    """Let the system fetch a file while other work goes on; only a hint, where there is such a thing."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def require_whole(path: Path) -> None:
    """Make sure that the system gives every byte of a file; what the bytes say is not looked at.

    For use when a decoder has failed: libraries report a read that failed as a broken file.

    Raises:
        MissingFileError, MediumError, UnreadableFileError: it does not.
        MachineError: this process has no file descriptor left.
    """
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(PIECE):
                pass
    except OSError as error:
        raise unreadable(error, path) from error


def unreadable(error: OSError, path: Path) -> ProductError:
    """What a system error on reading means for a product.

    Raises:
        MachineError: this process has no file descriptor left, which is no fault of the product.
    """
    if error.errno in _NONE_LEFT:
        what = "Too many files are open."
        raise MachineError(what, path, "Raise the limit, such as by `ulimit -n 4096`.") from error
    if error.errno in _GONE:
        return MissingFileError("There is no such file.", path)
    kind = UnreadableFileError if error.errno in _OF_NAME else MediumError
    return kind(f"The file cannot be read ({error.strerror or error}).", path)
