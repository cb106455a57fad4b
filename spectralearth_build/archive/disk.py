"""Whether a file can be read at all."""

from __future__ import annotations

import errno
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


def unreadable(error: OSError, path: Path) -> ProductError:
    """What a system error on reading means for a product."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return MissingFileError("There is no such file.", path)
    return UnreadableFileError(f"The file cannot be read ({error.strerror or error}).", path)
