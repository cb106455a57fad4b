"""Check that an archive is still accessible, to tell faults of a disk or a machine from faults of a product.

An unmounted disk, a broken connection and a machine without the mount all look like many damaged products. So before a
failure counts against a product, some files that could be read at the start are read again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.archive.below import below
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.errors import ArchiveError
from spectralearth_build.files import PARTIAL
from spectralearth_build.layout import SIGHT
from spectralearth_build.storage import attach

LOOKS = 64
"""Products to sample for witnesses: enough to find every file system that has a share of the archive."""
EACH = 3
"""Witness files per file system. One readable file is enough, since users may replace or delete the others."""
HEAD = 4096
"""Bytes to read of each witness file."""


@dataclass(frozen=True)
class FileSample:
    """A file at the time when it could be read."""

    path: Path
    size: int
    head: bytes
    """SHA-256 of its first bytes."""


@dataclass(frozen=True)
class FileSystem:
    """A file system that the run depends on."""

    root: Path
    """The folder that the user gave, for messages."""
    mount: Path
    """Mount point of the file system at the start."""
    files: tuple[FileSample, ...]

    def fault(self) -> str:
        """Why none of its files can be read unchanged; empty if at least one can."""
        why = ""
        for file in self.files:
            try:
                if _sample(file.path) == file:
                    return ""
                why = "other files are there"
            except OSError as error:
                why = error.strerror or str(error)
        return why


@dataclass(frozen=True)
class PresenceCheck:
    """The files that this process read at the start. It is small enough to send to workers; call it to check again.

    Raises:
        ArchiveError: no file can be read any more on one of its file systems.
    """

    file_systems: tuple[FileSystem, ...] = ()

    def __call__(self) -> None:
        """Read the files again."""
        for file_system in self.file_systems:
            if why := file_system.fault():
                raise away(file_system.root, why, file_system.mount)


def require_archive(root: Path) -> None:
    """Check that an archive can be listed and is not empty.

    Raises:
        ArchiveError: it cannot, or is empty; the message has its mount point.
    """
    try:
        with os.scandir(root) as entries:
            if next(entries, None) is None:
                raise away(root, "the folder is empty")
    except OSError as error:
        raise away(root, error.strerror or str(error)) from error


def away(root: Path, why: str, mount: Path | None = None) -> ArchiveError:
    """The error for a folder that is missing or can no longer be read.

    Args:
        root: the folder.
        why: the system's message.
        mount: mount point of its file system at the start; None if unknown.
    """
    now = mount_of(root)
    if mount is not None and now != mount:
        return ArchiveError(f"Its file system, {mount}, is no longer mounted ({why}).", root)
    return ArchiveError(f"It cannot be read ({why}). Its file system is mounted at {now}.", root)


def mount_of(path: Path) -> Path:
    """The mount point of a path, whether or not the path exists."""
    place = path.absolute()
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return place


def presence_check(archive: Path, products: Iterable[str], others: Iterable[str] = ()) -> PresenceCheck:
    """Read some files of an archive, for comparison later.

    Args:
        archive: folder of the products. An archive on an object store needs no witnesses, since the store itself
            reports when it cannot be reached.
        products: paths of products below it, as in the tables; without any, there are no witnesses.
        others: paths of more products. They show that the archive is there when the few that are read are gone.

    Raises:
        ArchiveError: it cannot be listed, is empty, or no sampled product has a readable file.
    """
    paths = sorted(products)
    if not paths or attach.at(archive) is not None:
        return PresenceCheck()
    require_archive(archive)
    looked_at = [*_some(paths), *_some(sorted(others))]
    file_systems: dict[int, list[FileSample]] = {}
    for path in looked_at:
        with suppress(OSError):
            place = below(archive, path.split(INSIDE)[0])
            known = file_systems.setdefault(place.stat().st_dev, [])
            if len(known) < EACH:
                known.append(_sample_of(place))
    found = [files for files in file_systems.values() if files]
    if not found:
        raise away(archive, f"none of {len(set(looked_at))} products is there")
    return PresenceCheck(tuple(FileSystem(archive, mount_of(files[0].path), tuple(files)) for files in found))


def _some(paths: list[str]) -> list[str]:
    """Paths of which files are read, spread over all of them."""
    return paths[:: max(1, len(paths) // LOOKS)]


@contextmanager
def noted(dataset: Path) -> Iterator[FileSystem]:
    """Write a temporary note into a dataset's work folder: a process that can read it sees the same dataset.

    If the folder is not writable, a file of the dataset serves as the note.
    """
    note = dataset / f"{SIGHT}{secrets.token_hex(6)}{PARTIAL}"
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_bytes(secrets.token_bytes(32))
        seen = _sample(note)
    except OSError:
        seen = _sample_of(dataset)
    try:
        yield FileSystem(dataset, mount_of(dataset), (seen,))
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)


def file_system_of(file: Path) -> FileSystem:
    """The file system of a single required file."""
    return FileSystem(file, mount_of(file), (_sample(file),))


def _sample(path: Path) -> FileSample:
    """Read the beginning of a file from disk, not from the page cache."""
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        head = file.read(HEAD)
        return FileSample(path, os.fstat(file.fileno()).st_size, hashlib.sha256(head).digest())


def _sample_of(place: Path) -> FileSample:
    """Read a file of a product: the path itself, or the first readable file in its folder."""
    if not place.is_dir():
        return _sample(place)
    with os.scandir(place) as entries:
        files = sorted(place / entry.name for entry in entries if entry.is_file())
    for file in files:
        with suppress(OSError):
            return _sample(file)
    raise FileNotFoundError(place)
