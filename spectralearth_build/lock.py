"""Allow one run at a time on a dataset folder."""

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
    """Lock ``folder`` against other runs. The system releases the lock when the process ends, however it ends.

    The folder itself is locked, so no lock file is left behind. On file systems without locks, nothing is locked.

    Args:
        folder: the folder to lock; created if need be, when writing.
        write: whether the run will change anything there. Readers exclude only writers.

    Raises:
        UsageError: another run is using the folder.
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
                    "Another run is using the folder.", folder, "Wait until it ends, or stop it."
                ) from error
        yield
    finally:
        os.close(descriptor)
