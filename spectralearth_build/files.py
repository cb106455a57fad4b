"""Atomic, durable writes: a reader sees the old file, the new file or no file, never a partial one.

Files below a folder that mirrors a location on an object store are also written there; see `storage.attach`.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import BuildError, OutOfSpaceError
from spectralearth_build.faults import fault_of, refusal, refused
from spectralearth_build.storage import attach

PARTIAL = ".partial"
"""Suffix of unfinished files, which may be deleted at any time."""
_LITTLE = 1 << 16
"""Bytes of free space required before work begins."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success, fsync it and move it into place.

    The order (data, fsync, rename, fsync of the folder) makes the new file survive a power failure.
    After an exception, the temporary file is deleted and ``path`` is unchanged.

    Raises:
        OutOfSpaceError: no space, quota exceeded or read-only, whatever error a library raised.
    """
    # Not the process id, which is often the same in containers on several machines.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}{PARTIAL}")
    try:
        make_folder(path.parent)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
        attach.written(path)
    except BuildError as error:
        if error.path != str(temporary):
            raise
        raise type(error)(error.what, path, error.remedy) from error
    except Exception as error:
        fault = fault_of(error, path)
        if fault is None and not getattr(error, "errno", None):
            fault = refusal(
                temporary if temporary.is_file() else path.parent
            )  # the library does not give the cause
        if isinstance(fault, OutOfSpaceError):
            raise OutOfSpaceError(fault.what, path, fault.remedy) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically and durably."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents durably. A synced file is lost if its folder's entry in the parent is lost."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def require_writable(path: Path) -> None:
    """Check before work begins that its result can be written.

    Args:
        path: a file or folder that will be created or written to. Nothing is changed or created.

    Raises:
        UsageError: it, or the folder in which it would be created, is not writable.
        OutOfSpaceError: the disk is full, or the file system is read-only.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    folder = place if place.is_dir() else place.parent
    probe = folder / f"probe.{secrets.token_hex(6)}{PARTIAL}"
    try:
        if place != path.absolute() and not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        try:
            probe.write_bytes(bytes(_LITTLE))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise fault_of(error, folder) or refused(error, place) or error from error


def move(path: Path, target: Path) -> None:
    """Move a durable file to ``target`` on the same file system, atomically and durably, replacing what is there."""
    path.replace(target)
    _sync_folder(target.parent)
    attach.written(target)
    attach.removed(path)


def remove(path: Path) -> None:
    """Delete ``path``, if it exists, durably."""
    if path.exists():
        path.unlink(missing_ok=True)  # another run may have deleted it at this moment
        _sync_folder(path.parent)
        attach.removed(path)


def delete_partials(folder: Path) -> int:
    """Delete unfinished files of an interrupted run below ``folder``; returns how many."""
    inside = os.walk(folder)
    found = [Path(place, name) for place, _, names in inside for name in names if name.endswith(PARTIAL)]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
