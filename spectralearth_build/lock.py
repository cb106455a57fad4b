"""Allow one run at a time on a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import StoppedError, UsageError
from spectralearth_build.layout import LOCK
from spectralearth_build.progress import say
from spectralearth_build.signals import stoppable
from spectralearth_build.storage.lease import held, require_free
from spectralearth_build.storage.lease_file import FileLease

LOCAL = (
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs"),
    *("tmpfs", "ramfs", "overlay", "apfs", "hfs"),
)
"""File systems of one machine, whose locks all processes of the machine see. The locks of others may be known to one
machine only, whether or not the system says that they work."""


@contextmanager
def alone(folder: Path, write: bool = True, lease: bool = True) -> Iterator[None]:
    """Lock ``folder`` against other runs. The system releases the lock when the process ends, however it ends.

    The folder itself is locked, so no lock file is left behind. If its file system has no locks, or may have locks that
    other machines do not see, a run that writes also holds a lease: the file ``work/lock.json``, see
    `storage.lease_file`. A run that is killed leaves it behind; the next one on the same machine takes it over at once,
    and others when it has shown no sign of life for five minutes. A run that loses it stops at its next safe point.

    Args:
        folder: the folder to lock; created if need be, when writing.
        write: whether the run will change anything there. Readers exclude only writers. They have no lease, but are
            refused while another run has one.
        lease: whether to hold a lease where it is needed; False if two runs at once do no harm.

    Raises:
        UsageError: another run is using the folder.
    """
    if write:
        folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        trusted = _locked(descriptor, folder, write) and is_local(folder)
        there = (folder / LOCK).exists()
        if write and lease and (there or not trusted):
            with _leased(folder):
                yield
        else:
            if there and not trusted:
                require_free(FileLease(folder / LOCK, say))
            yield
    finally:
        os.close(descriptor)


def is_local(folder: Path) -> bool:
    """Return whether a folder is known to be on a file system of this machine only."""
    import psutil

    place, kinds = folder.resolve(), {}
    for part in psutil.disk_partitions(all=True):
        if place.is_relative_to(part.mountpoint):
            kinds[part.mountpoint] = part.fstype  # of several at one mount point, the last one is seen
    return bool(kinds) and kinds[max(kinds, key=len)] in LOCAL


def _locked(descriptor: int, folder: Path, write: bool) -> bool:
    """Lock an open folder, and return whether the file system has locks."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if write else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UsageError(
                "Another run is using the folder.", folder, "Wait until it ends, or stop it."
            ) from error
        return False
    return True


@contextmanager
def _leased(folder: Path) -> Iterator[None]:
    lost = StoppedError(
        "Another run has taken over, because this one gave no sign of life.",
        folder,
        "Let the other run finish. Nothing that was written is lost.",
    )
    with stoppable(lost) as stop, held(FileLease(folder / LOCK, say), secrets.token_hex(8), lost=stop):
        yield
