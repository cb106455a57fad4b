"""Whether a file can be read at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from spectralearth_build.errors import EmptyFileError, MissingFileError, ProductError, UnreadableFileError


def require_readable(path: Path) -> int:
    """Make sure that a file can be opened and holds something; returns its size in bytes.

    Raises:
        MissingFileError: it is not there, or is no regular file.
        EmptyFileError: it has no bytes.
        UnreadableFileError: the system refuses to open or read it.
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


def unreadable(error: OSError, path: Path) -> ProductError:
    """What a system error on reading means for a product."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return MissingFileError("There is no such file.", path)
    return UnreadableFileError(f"The file cannot be read ({error.strerror or error}).", path)
