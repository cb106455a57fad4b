"""A cache of unpacked archives that tasks share, so that each archive is unpacked once, however many products it has.

The first task that needs a file unpacks it; others wait for it. Locks are locks of the system, which end with their
process, however it ends; unfinished files are unpacked again. The run that owns the cache clears it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spectralearth_build.archive.container import partial_of, unpack_each
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.errors import BrokenArchiveError, OutOfSpaceError, ProductError

UNPACKED = "unpacked"
"""Name of the cache's folder among temporary files."""
POLL = 0.05
"""Seconds between two checks whether a file is complete."""
FREE = 0.1
"""Fraction of the disk to leave free when unpacking files for other tasks."""


@dataclass(frozen=True)
class UnpackCache:
    """A folder of unpacked files, and the number of tasks that need each product."""

    folder: Path
    """The folder, on a disk that all tasks share."""
    wanted: Mapping[str, int]
    """Products in archives that the tasks of this run need, by path, with the number of tasks that need each."""

    def shared(self, path: str) -> bool:
        """Whether several tasks need a product."""
        return self.wanted.get(path, 0) > 1

    def only(self, paths: Collection[str]) -> UnpackCache:
        """The same cache, restricted to some products and those in the same archives."""
        archives = sorted({path.split(INSIDE)[0] for path in paths})
        return UnpackCache(
            self.folder, {path: n for name in archives for path, n in self._archives.get(name, {}).items()}
        )

    @cached_property
    def _archives(self) -> Mapping[str, Mapping[str, int]]:
        """The products that are needed, by archive: a run makes a cache for each of its tasks."""
        found: dict[str, dict[str, int]] = {}
        for path, count in self.wanted.items():
            found.setdefault(path.split(INSIDE)[0], {})[path] = count
        return found

    def layer(self, path: str, name: str, make: Callable[[Path], None]) -> Path:
        """The path of a product's layer, which is unpacked if it is not there.

        Args:
            path: the product.
            name: the layer.
            make: unpacks the layer to a path.
        """
        target = self._place(path) / name
        with self._turn(target, target.parent) as mine:
            if mine:
                partial = partial_of(target)
                make(partial)
                partial.replace(target)
        return target

    def inner(self, place: Path, outer: str, member: str) -> Path:
        """Unpack a zip from a tar. The same pass also unpacks zips that other tasks need, as far as space allows.

        Args:
            place: the tar.
            outer: its path below the archive.
            member: the zip in the tar.

        Raises:
            ProductError: the tar is damaged before or at the member.
            OutOfSpaceError: there is no space for it.
        """
        target = self._zip(f"{outer}{INSIDE}{member}")
        with self._turn(target, self._place(outer)) as mine:
            if mine:
                self._unpack(place, outer, member, target)
        return target

    def release(self, path: str) -> None:
        """Delete the unpacked files of a product that no task needs any more."""
        shutil.rmtree(self._place(path), ignore_errors=True)
        self._zip(path).unlink(missing_ok=True)
        if INSIDE in path:
            with suppress(OSError):  # without the note, it is unpacked once more than necessary
                self._released(path).touch()

    def _place(self, key: str) -> Path:
        return self.folder / hashlib.sha256(os.fsencode(key)).hexdigest()[:32]

    def _zip(self, key: str) -> Path:
        return self._place(key).with_suffix(".zip")

    def _released(self, key: str) -> Path:
        """A note that no task needs a product any more."""
        return self._place(key).with_suffix(".released")

    def _room(self, size: int) -> bool:
        disk = shutil.disk_usage(self.folder)
        return disk.free - size > FREE * disk.total

    def _unpack(self, place: Path, outer: str, member: str, target: Path) -> None:
        inside = (path for path in self.wanted if path.startswith(f"{outer}{INSIDE}"))
        names = {path.partition(INSIDE)[2] for path in inside if not self._released(path).exists()}
        places = {name: self._zip(f"{outer}{INSIDE}{name}") for name in {*names, member}}
        missing = {name: path for name, path in places.items() if not path.exists()}
        try:
            for name, partial in unpack_each(place, missing, lambda n, size: n == member or self._room(size)):
                partial.replace(missing[name])
        except (ProductError, OutOfSpaceError):
            if not target.exists():  # otherwise a task that needs the rest of the tar raises it
                raise
        if not target.exists():
            raise BrokenArchiveError(f"It cannot be unpacked ({member} is absent).", place)

    @contextmanager
    def _turn(self, target: Path, lock: Path) -> Iterator[bool]:
        """Yield True if the caller must make a file, alone; False once it exists. Waits while another task makes it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        while not target.exists():
            with _alone(lock.with_suffix(".lock")) as mine:
                if mine:
                    yield not target.exists()
                    return
            time.sleep(POLL)
        yield False


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Yield whether the lock was acquired. On file systems without locks, it always is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    except OSError:
        yield True
    else:
        yield True
    finally:
        os.close(descriptor)
