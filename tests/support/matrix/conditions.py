"""What may be in a verb's way, each made real: mounts are mounted, disks are filled, signals are sent.

A condition is a context: on entry it spoils the cell, on exit it lifts what it did, so that the same call may follow.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from tests.support.matrix.calling import Stdout
from tests.support.matrix.prepared import copied
from tests.support.matrix.verbs import Verb

OTHER = 65534
"""A user who is not the one that calls."""
DISK = 256 << 20
"""Bytes of a disk before it is filled."""
FILES = {"archive": "*/*SPECTRAL_IMAGE.TIF", "more": "*/*SPECTRAL_IMAGE.TIF"}
"""Of archives, the files of which the last is unreadable."""


@dataclass
class Cell:
    """One call, and what surrounds it."""

    verb: Verb
    folder: Path
    places: dict[str, Path]
    """Inputs, and ``out``, by name."""
    added: int = 0
    """Bytes that an undisturbed call adds to what it writes into."""
    moments: int = 0
    """How many moments an undisturbed call has."""
    moved: bool = False
    """Whether an input lies elsewhere than in an undisturbed call."""
    stdout: Stdout = "file"
    moment: int = 0
    act: Callable[[int], None] = lambda pid: None
    guilty: list[Path] = field(default_factory=list)
    """What a message should name."""

    def own(self, name: str) -> Path:
        """Make an input a copy that may be spoiled."""
        if self.places[name].parent != self.folder:
            self.places[name] = copied(self.places[name], self.folder / self.places[name].name)
        return self.places[name]

    @property
    def target(self) -> Path:
        """The folder that a verb writes into: that of what it makes, or the dataset that it changes."""
        return self.places[self.verb.changes] if self.verb.changes else self.places["out"].parent


Condition = Callable[[Cell, str], Iterator[None]]


def _run(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True)


def mountable() -> bool:
    """Whether file systems can be mounted here."""
    return (
        os.geteuid() == 0
        and not subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        ).returncode
    )


@contextmanager
def _mounted(folder: Path, *options: object) -> Iterator[None]:
    if not mountable():
        pytest.skip("mounting is not permitted here")
    _run("mount", *options, folder)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


# --- what is wrong with an input --------------------------------------------------------------------------


def empty(cell: Cell, name: str) -> Iterator[None]:
    """An empty folder, or a file of no bytes."""
    is_folder, place = cell.places[name].is_dir(), cell.folder / f"empty-{cell.places[name].name}"
    place.mkdir() if is_folder else place.touch()
    cell.places[name] = place
    cell.guilty = [place]
    yield


def wrong(cell: Cell, name: str) -> Iterator[None]:
    """A folder, or a file, of something else."""
    is_folder, place = cell.places[name].is_dir(), cell.folder / f"wrong-{cell.places[name].name}"
    if is_folder:
        (place / "holiday").mkdir(parents=True)
        (place / "holiday" / "beach.txt").write_text("sand\n")
    else:
        place.write_text("sand, and the sea beside it\n" * 9)
    cell.places[name] = place
    cell.guilty = [place]
    yield


def _to_mount(cell: Cell, name: str) -> tuple[Path, Path]:
    """The folder of an input, and the empty one on which it is to be mounted, where the verb will look for it."""
    source, point = cell.places[name], cell.folder / "mount"
    point.mkdir()
    cell.places[name] = point if source.is_dir() else point / source.name
    return source if source.is_dir() else source.parent, point


def unmounted(cell: Cell, name: str) -> Iterator[None]:
    """A folder on which nothing is mounted any more; of a file, the folder it was in."""
    folder, point = _to_mount(cell, name)
    with _mounted(point, "--bind", folder):
        pass
    cell.guilty = [point]
    yield


def vanishing(cell: Cell, name: str) -> Iterator[None]:
    """A mount that is taken away half-way through."""
    folder, point = _to_mount(cell, name)
    with _mounted(point, "--bind", folder):
        cell.moved = True
        cell.moment = max(1, cell.moments // 2)
        cell.act = lambda pid: _run("umount", "-l", point)
        yield
    with _mounted(point, "--bind", folder):
        cell.moment = 0
        yield


def unreadable(cell: Cell, name: str) -> Iterator[None]:
    """Mode 000."""
    place = cell.own(name)
    mode = place.stat().st_mode
    place.chmod(0)
    cell.guilty = [place]
    yield
    place.chmod(mode)


def unreadable_file(cell: Cell, name: str) -> Iterator[None]:
    """Mode 000 on one file of a folder."""
    place = sorted(cell.own(name).glob(FILES.get(name, cell.verb.needs)))[-1]
    place.chmod(0)
    cell.guilty = [place]
    yield
    place.chmod(0o644)


def foreign(cell: Cell, name: str) -> Iterator[None]:
    """A file or folder of somebody else, on a file system that is mounted read-only."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    disk = cell.folder / "foreign"
    disk.mkdir()
    with _mounted(disk, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs"):
        place = copied(cell.places[name], disk / cell.places[name].name)
        for each in (disk, place, *place.rglob("*")):
            os.chown(each, OTHER, OTHER)
            each.chmod(0o555 if each.is_dir() else 0o444)
        _run("mount", "-o", "remount,ro", disk)
        cell.places[name], cell.moved = place, True
        yield


# --- what is wrong with the target ------------------------------------------------------------------------


@contextmanager
def _disk(cell: Cell) -> Iterator[Path]:
    """What the verb writes into lies on a disk of its own."""
    disk = cell.folder / "disk"
    disk.mkdir()
    with _mounted(disk, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs"):
        if cell.verb.changes:
            name = cell.verb.changes
            cell.places[name] = copied(cell.places[name], disk / cell.places[name].name)
        else:
            cell.places["out"] = disk / "out"
        cell.guilty = [disk]
        yield disk


def _filled(cell: Cell, room: int) -> Iterator[None]:
    with _disk(cell) as disk:
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - room)
        yield
        ballast.unlink()
        yield


def full(cell: Cell, name: str) -> Iterator[None]:
    """A disk without a free byte."""
    return _filled(cell, 0)


def filling(cell: Cell, name: str) -> Iterator[None]:
    """A disk with room for half of what the verb writes."""
    return _filled(cell, max(0, cell.added // 2 // 4096 * 4096))


def read_only(cell: Cell, name: str) -> Iterator[None]:
    """A folder, and all in it, that its owner may not write to."""
    place = cell.own(cell.verb.changes) if cell.verb.changes else cell.places["out"].parent
    every = [place, *place.rglob("*")]
    for each in every:
        each.chmod(0o555 if each.is_dir() else 0o444)
    cell.guilty = [place]
    yield
    for each in every:
        each.chmod(0o755 if each.is_dir() else 0o644)
    yield


def other_user(cell: Cell, name: str) -> Iterator[None]:
    """A folder of somebody else, who lets others read."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    place = cell.own(cell.verb.changes) if cell.verb.changes else cell.places["out"].parent
    every = [place, *place.rglob("*")]
    for each in every:
        os.chown(each, OTHER, OTHER)
    cell.guilty = [place]
    yield
    for each in every:
        os.chown(each, 0, 0)
    yield


def read_only_mount(cell: Cell, name: str) -> Iterator[None]:
    """A file system that is mounted read-only."""
    with _disk(cell) as disk:
        _run("mount", "-o", "remount,ro", disk)
        yield
        _run("mount", "-o", "remount,rw", disk)
        yield


# --- what is wrong around -----------------------------------------------------------------------------------


def _stdout(kind: Stdout, cell: Cell, name: str) -> Iterator[None]:
    cell.stdout = kind
    yield


def _interrupted(when: Literal["start", "middle", "end"], cell: Cell, name: str) -> Iterator[None]:
    """Ctrl-C at a moment; its answer is that of the program, which goes on."""
    cell.moment = {"start": 1, "middle": max(1, cell.moments // 2), "end": cell.moments}[when]
    cell.act = lambda pid: os.kill(pid, signal.SIGINT)
    yield
    cell.moment = 0
    yield


INPUT: dict[str, Condition] = {
    "empty": empty,
    "wrong": wrong,
    "unmounted": unmounted,
    "vanishing": vanishing,
    "unreadable": unreadable,
    "unreadable file": unreadable_file,
    "foreign": foreign,
}
"""Conditions of an input; tried with each."""
TARGET: dict[str, Condition] = {
    "full": full,
    "filling": filling,
    "read-only": read_only,
    "read-only mount": read_only_mount,
    "other user": other_user,
}
"""Conditions of where a verb writes."""
AROUND: dict[str, Condition] = {
    "closed pipe": partial(_stdout, "closed pipe"),
    "no stdout": partial(_stdout, "none"),
    "full stdout": partial(_stdout, "full"),
    **{f"Ctrl-C at the {when}": partial(_interrupted, when) for when in ("start", "middle", "end")},
}
CONDITIONS = INPUT | TARGET | AROUND
