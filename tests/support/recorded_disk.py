"""A disk that remembers what was made durable, so that every moment of a run can be turned into a crash.

While a `Disk` watches a folder, each call that changes names (rename, delete, make a folder) and each fsync becomes a
`Point`: the state of the folder just before the call. Files that were written since the last point give one more, with
the write half done. Whoever writes (Python, Arrow, GDAL, matplotlib), it is seen by looking at the folder itself.

Of each point there are three crashes. The process is killed: all is there that was written. The power fails, and the
disk is strict: only what was synced is there, names by an fsync of their folder. The power fails, and the disk is
eager: all names are there, but files that were never synced are cut in half.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

CHANGES = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "link")
"""Functions of `os` that change names."""
ROOT = 0
Content = dict[int, str]
"""Hash of the content by identity of the file."""


@dataclass(frozen=True)
class State:
    """What a crash leaves: hashes by path, and which files are torn."""

    files: dict[str, str]
    torn: frozenset[str] = frozenset()

    def without_partials(self) -> frozenset[tuple[str, str]]:
        """What the next run starts from: it deletes partial files and scratch before anything else."""
        return frozenset(item for item in self.files.items() if not passing(item[0]))


def passing(path: str) -> bool:
    """Whether a file may be half written: it is of the moment, and nobody reads it after a crash."""
    return path.endswith(".partial") or path.startswith("work/scratch/")


@dataclass(frozen=True)
class Point:
    """A moment of a run."""

    label: str
    """What was about to happen."""
    names: dict[str, int]
    """Identity of every file and folder, by path."""
    written: Content
    synced: Content
    kept: dict[int, dict[str, int]]
    """Of each folder, the entries at its last fsync."""
    halves: Content
    """What a half of a file would be."""
    half: int | None = None
    """The file whose writing is half done."""

    def states(self) -> Iterator[tuple[str, State]]:
        """The three crashes, by name."""
        files = {path: uid for path, uid in self.names.items() if uid in self.written}
        now = {
            path: self.halves[uid] if uid == self.half else self.written[uid] for path, uid in files.items()
        }
        yield "killed", State(now, frozenset(path for path, uid in files.items() if uid == self.half))
        yield "power cut, strict", self._crashed(dict(self._durable(ROOT, "")))
        yield "power cut, eager", self._crashed(files)

    def _crashed(self, files: dict[str, int]) -> State:
        torn = {path for path, uid in files.items() if self.synced.get(uid) != self.written[uid]}
        return State(
            {p: self.halves[uid] if p in torn else self.written[uid] for p, uid in files.items()},
            frozenset(torn),
        )

    def _durable(self, folder: int, path: str) -> Iterator[tuple[str, int]]:
        for name, uid in self.kept.get(folder, {}).items():
            if uid in self.written:
                yield path + name, uid
            else:
                yield from self._durable(uid, f"{path}{name}/")


@dataclass
class Disk:
    """Watches a folder; what is there at the beginning counts as durable."""

    folder: Path
    points: list[Point] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)
    """What hashes stand for."""
    _names: dict[str, int] = field(default_factory=dict)
    _marks: dict[int, tuple[int, int]] = field(default_factory=dict)
    _inodes: dict[int, int] = field(default_factory=dict)
    _written: Content = field(default_factory=dict)
    _halves: Content = field(default_factory=dict)
    _synced: Content = field(default_factory=dict)
    _kept: dict[int, dict[str, int]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def watched(self) -> Iterator[Disk]:
        """Inside, every change becomes a point."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._look()
        self._synced = dict(self._written)
        self._kept = {uid: self._entries(path) for path, uid in self._folders()}
        calls = {name: self._changing(name, getattr(os, name)) for name in CHANGES}
        with mock.patch.multiple(os, fsync=self._syncing(os.fsync), **calls):
            yield self
        self._observe("the end")

    def states(self) -> Iterator[tuple[str, State]]:
        """Every crash of every point, with a name for messages."""
        for number, point in enumerate(self.points):
            for how, state in point.states():
                yield f"{number} ({how}) before {point.label}", state

    def restore(self, state: State, folder: Path) -> Path:
        """Make a folder that looks as after a crash."""
        for path, digest in state.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.content[digest])
        return folder

    def _changing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._observe(f"{name} {Path(os.fsdecode(args[0])).name}")
            try:
                return real(*args, **kwargs)
            finally:
                self._look()

        return call

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            seen = os.fstat(descriptor)
            uid = self._uid_of(seen)
            self._observe(f"fsync of {self._name_of(uid)}")
            uid = self._uid_of(seen)
            if uid is not None and stat.S_ISDIR(seen.st_mode):
                self._kept[uid] = self._entries(self._name_of(uid))
            elif uid is not None:
                self._synced[uid] = self._written[uid]
            real(descriptor)

        return call

    def _observe(self, label: str) -> None:
        """Make a point of now, and one for each file written since the last."""
        changed = self._look()
        state = self._names, self._written, self._synced, self._kept, self._halves
        for uid in changed:
            what = f"the second half of {self._name_of(uid)} is written"
            self.points.append(Point(what, *map(dict, state), half=uid))
        self.points.append(Point(label, *map(dict, state)))

    def _look(self) -> list[int]:
        """Compare the folder with what is known; identities of the files that were written since."""
        self._names, changed, inodes = {"": ROOT}, [], {}
        for path in sorted(self.folder.rglob("*")):
            seen = path.lstat()
            uid = self._inodes.get(seen.st_ino) or next(self._numbers)
            inodes[seen.st_ino] = uid
            self._names[path.relative_to(self.folder).as_posix()] = uid
            mark = seen.st_size, seen.st_mtime_ns
            if stat.S_ISREG(seen.st_mode) and self._marks.get(uid) != mark:
                self._marks[uid] = mark
                self._read(uid, path.read_bytes())
                changed.append(uid)
        self._inodes = inodes  # the number of a file that is gone may be given to another
        return changed

    def _read(self, uid: int, data: bytes) -> None:
        self._written[uid], self._halves[uid] = self._hashed(data), self._hashed(data[: len(data) // 2])

    def _hashed(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.content[digest] = data
        return digest

    def _uid_of(self, seen: os.stat_result) -> int | None:
        if seen.st_ino == self.folder.stat().st_ino:
            return ROOT
        return self._inodes.get(seen.st_ino)

    def _name_of(self, uid: int | None) -> str:
        return next((path for path, known in self._names.items() if known == uid), "a file elsewhere")

    def _folders(self) -> list[tuple[str, int]]:
        return [(path, uid) for path, uid in self._names.items() if uid not in self._written]

    def _entries(self, folder: str) -> dict[str, int]:
        """Entries of a folder by name."""
        start = f"{folder}/" if folder else ""
        return {
            path.removeprefix(start): uid
            for path, uid in self._names.items()
            if path and path.startswith(start) and "/" not in path.removeprefix(start)
        }
