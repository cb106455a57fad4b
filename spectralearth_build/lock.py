"""One run at a time on a dataset folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import UsageError


@contextmanager
def alone(folder: Path, write: bool = True) -> Iterator[None]:
    """Keep other runs off ``folder``; the system forgets it when the process ends, however it ends.

    The folder itself is locked, so nothing is left in it. File systems that cannot lock folders are trusted.

    Args:
        folder: what is locked; made if need be.
        write: whether anything will be changed there; those that only read keep out nobody but those that write.

    Raises:
        UsageError: another run is at work there.
    """
    if write:
        folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if write else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UsageError(
                    "Another run is at work there.", folder, "Wait for it or stop it."
                ) from error
        yield
    finally:
        os.close(descriptor)
