"""Check that files can be read, and classify errors of reading."""

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
"""Errors that a file's permissions or name may cause; all others come from the disk or the connection."""


def require_readable(path: Path) -> int:
    """Check that a file can be opened and is not empty; returns its size in bytes.

    Raises:
        MissingFileError: it does not exist, or is not a regular file.
        EmptyFileError: it is empty.
        UnreadableFileError: the system refuses to open it, or (MediumError) to read it.
        MachineError: this process has no file descriptors left.
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
    """Ask the system to prefetch a file in the background; only a hint, where the system supports it."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def require_whole(path: Path) -> None:
    """Check that every byte of a file can be read; the content is not checked.

    Call this after a decoder has failed: libraries report a failed read as a broken file.

    Raises:
        MissingFileError, MediumError, UnreadableFileError: some byte cannot be read.
        MachineError: this process has no file descriptors left.
    """
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(PIECE):
                pass
    except OSError as error:
        raise unreadable(error, path) from error


def unreadable(error: OSError, path: Path) -> ProductError:
    """The product error for a system error on reading.

    Raises:
        MachineError: this process has no file descriptors left, which is not the product's fault.
    """
    if error.errno in _NONE_LEFT:
        what = "Too many files are open."
        raise MachineError(what, path, "Type `ulimit -n 4096` to raise the limit.") from error
    if error.errno in _GONE:
        return MissingFileError("There is no such file.", path)
    kind = UnreadableFileError if error.errno in _OF_NAME else MediumError
    return kind(f"The file cannot be read ({error.strerror or error}).", path)
