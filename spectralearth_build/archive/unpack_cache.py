"""Unpacked archives that tasks share, so that each archive is unpacked once however many products it holds.

Whoever needs a file first makes it; the others wait for it. Locks are the system's: they end with their process,
however it ends, and what it left half-done is made again. The run that owns the cache clears it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.archive.container import partial_of, unpack_each
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.errors import BrokenArchiveError, OutOfSpaceError, ProductError

POLL = 0.05
"""Seconds between two looks at whether a file has come."""
FREE = 0.1
"""Share of the disk that stays free when something is kept for other tasks."""


@dataclass(frozen=True)
class UnpackCache:
    """A folder of unpacked files, and which of them are of use to other tasks."""

    folder: Path
    """Where they lie, on a disk that all tasks share."""
    wanted: Mapping[str, int]
    """Products in archives that the tasks of this run need, by path, with the number of tasks that need each."""

    def shared(self, path: str) -> bool:
        """Whether several tasks need a product."""
        return self.wanted.get(path, 0) > 1

    def only(self, paths: Collection[str]) -> UnpackCache:
        """What concerns some products: themselves and those in the same archives."""
        archives = {path.split(INSIDE)[0] for path in paths}
        return UnpackCache(
            self.folder, {p: n for p, n in self.wanted.items() if p.split(INSIDE)[0] in archives}
        )

    def layer(self, path: str, name: str, make: Callable[[Path], None]) -> Path:
        """A layer of a product, made if it is not there.

        Args:
            path: the product.
            name: the layer.
            make: unpacks it to a path.
        """
        target = self._place(path) / name
        with self._turn(target, target.parent) as mine:
            if mine:
                partial = partial_of(target)
                make(partial)
                partial.replace(target)
        return target

    def inner(self, place: Path, outer: str, member: str) -> Path:
        """A zip out of a tar; the pass over the tar also unpacks those that other tasks need, as far as there is room.

        Args:
            place: the tar.
            outer: its path below the archive.
            member: the zip in it.

        Raises:
            ProductError: the tar is damaged before or at the member.
            OutOfSpaceError: there is no room for it.
        """
        target = self._zip(f"{outer}{INSIDE}{member}")
        with self._turn(target, self._place(outer)) as mine:
            if mine:
                self._unpack(place, outer, member, target)
        return target

    def release(self, path: str) -> None:
        """Delete what was unpacked of a product that no task needs any more."""
        shutil.rmtree(self._place(path), ignore_errors=True)
        self._zip(path).unlink(missing_ok=True)

    def _place(self, key: str) -> Path:
        return self.folder / hashlib.sha256(os.fsencode(key)).hexdigest()[:32]

    def _zip(self, key: str) -> Path:
        return self._place(key).with_suffix(".zip")

    def _room(self, size: int) -> bool:
        disk = shutil.disk_usage(self.folder)
        return disk.free - size > FREE * disk.total

    def _unpack(self, place: Path, outer: str, member: str, target: Path) -> None:
        names = {path.partition(INSIDE)[2] for path in self.wanted if path.startswith(f"{outer}{INSIDE}")}
        places = {name: self._zip(f"{outer}{INSIDE}{name}") for name in {*names, member}}
        missing = {name: path for name, path in places.items() if not path.exists()}
        try:
            for name, partial in unpack_each(place, missing, lambda n, size: n == member or self._room(size)):
                partial.replace(missing[name])
        except (ProductError, OutOfSpaceError):
            if not target.exists():  # else it is for the task that needs what lies there
                raise
        if not target.exists():
            raise BrokenArchiveError(f"It cannot be unpacked ({member} is absent).", place)

    @contextmanager
    def _turn(self, target: Path, lock: Path) -> Iterator[bool]:
        """Whether it is on the caller to make a file, alone; it is there if not. Whoever finds another at it waits."""
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
    """Hold a lock, or say that another does. File systems that cannot lock let everyone in."""
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
