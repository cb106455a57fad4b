"""A note on the last publication, so that publishing again is quick if no file has changed since.

The note has a digest of the name, size, times and inode of every file that publication reads or writes. It is only
trusted if all of these and the versions of libraries are the same. Otherwise everything is read again. A copy of a
dataset has other times, so its first publication reads everything.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from spectralearth_build.errors import BuildError
from spectralearth_build.files import PARTIAL, write_bytes
from spectralearth_build.layout import FAILED, NEXT, PUBLISHED, REPORT, SPLITS, WORK
from spectralearth_build.storage import attach
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.manifest import versions

_TICK = 0.02
"""Seconds in which two changes of a file may get the same time."""
_NOT_PUBLISHED = (WORK, REPORT, SPLITS)


@dataclass(frozen=True)
class Remembered:
    """What the last publication found."""

    written: int
    """Number of patches in the store."""
    skipped: int
    """Number of planned patches that are not in the store."""
    failed: tuple[str, ...]
    """Tiles that failed in cut."""
    incomplete: tuple[int, ...]
    """Shards whose records name skipped patches."""
    missing: tuple[int, ...]
    """Shards of failed tiles that have no record."""


def remember(dataset: Path, found: Remembered) -> None:
    """Write the note, if it can be written. Call it when everything else is written."""
    if attach.at(dataset) is None and os.access(dataset, os.W_OK):
        time.sleep(_TICK)  # so that any later change of a file shows in its times
        with suppress(OSError, BuildError):  # the dataset is complete; the next publication reads everything
            note = {**asdict(found), "state": _state(dataset), "versions": versions()}
            write_bytes(dataset / PUBLISHED, json_bytes(note))


def unchanged(dataset: Path) -> Remembered | None:
    """Return what the last publication found; None if any file has changed since, or a new plan waits."""
    if attach.at(dataset) is not None or any((dataset / NEXT).glob("*")):
        return None
    try:
        note = json.loads((dataset / PUBLISHED).read_bytes())
        if note.pop("versions") != versions() or note.pop("state") != _state(dataset):
            return None
        lists = (tuple(note[name]) for name in ("failed", "incomplete", "missing"))
        return Remembered(int(note["written"]), int(note["skipped"]), *lists)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _state(dataset: Path) -> str:
    digest = hashlib.sha256()
    for name, seen in sorted(
        (entry.name, entry) for entry in os.scandir(dataset) if entry.name not in _NOT_PUBLISHED
    ):
        for line in _lines(name, seen):
            digest.update(line)
    if (dataset / FAILED).is_dir():
        for path in sorted((dataset / FAILED).iterdir()):
            digest.update(_line(path.name, path.stat()))
    return digest.hexdigest()


def _lines(name: str, entry: os.DirEntry[str]) -> Iterator[bytes]:
    """Yield a line for each file below a folder, in order of names."""
    if not entry.is_dir():
        if not name.endswith(PARTIAL):
            yield _line(name, entry.stat())
        return
    with os.scandir(entry) as inside:
        for each in sorted(inside, key=lambda one: one.name):
            yield from _lines(f"{name}/{each.name}", each)


def _line(name: str, seen: os.stat_result) -> bytes:
    return os.fsencode(f"{name} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}\n")
