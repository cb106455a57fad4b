"""A process in which hostile input is read: it may not crash, hang, talk to the network, or leave its folders.

Reading is seen in two ways: Python's own calls by an audit hook, which notes every path and refuses every socket; and
what GDAL does in C by baits, a pipe and a loopback server, which the inputs name and nobody may touch.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import site
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from spectralearth_build.kernels import Kernel

LIMIT = 30.0
"""Seconds that one input may take; they take milliseconds."""
MEMORY = 3 * 2**30
"""Bytes of memory that the process may ask for beyond what it has when it starts."""
_FILES = {"open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
_PAIRS = {"os.rename", "os.link", "os.symlink"}
_NEVER = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.system", "urllib.")

Target = Callable[[Path, Any], str]
"""Writes an input below a folder and reads it there; returns how it ended if it ended as it may, raises if not."""


class EscapeError(Exception):
    """The input made its reader touch what it must not."""


class Watched:
    """One such process, started again if it is lost."""

    def __init__(self, target: Target, folder: Path, limit: float = LIMIT) -> None:
        self.target, self.folder, self.limit = target, folder, limit
        self.ends: Counter[str] = Counter()
        folder.mkdir(parents=True, exist_ok=True)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, far = context.Pipe()
        self.process = context.Process(target=_serve, args=(far, self.target, self.folder), daemon=True)
        self.process.start()
        far.close()
        self.line.recv()  # it is ready

    def read(self, case: object) -> None:
        """Let it read an input.

        Raises:
            AssertionError: it crashed, hung, or failed in a way that is no class of ours; says how.
        """
        try:
            self.line.send(case)
            known = self.line.poll(self.limit)
            answer, end = self.line.recv() if known else (f"no answer in {self.limit:g} s", "")
        except (EOFError, OSError):
            self.process.join()
            answer, end = f"the process died, exit code {self.process.exitcode}", ""
        if answer and not answer.startswith("Traceback"):
            self.close()
            self._start()
        assert not answer, answer
        self.ends[end] += 1

    def summary(self) -> str:
        """How many inputs ended how since this was last asked; all in one way would mean that little was tried."""
        assert len(self.ends) > 1, self.ends
        text = ", ".join(f"{count} {end}" for end, count in self.ends.most_common())
        self.ends.clear()
        return text

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.join()
        self.line.close()


def attack(inputs: SearchStrategy[Any], read: Callable[[Any], None], trials: int, long: bool) -> int:
    """Try inputs; returns how many.

    Args:
        inputs: where they come from.
        read: what must not fail on any.
        trials: how many.
        long: whether to try others each time, rather than the same.
    """
    tried = 0

    @settings(
        max_examples=trials,
        deadline=None,
        database=None,
        derandomize=not long,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def once(case: Any) -> None:
        nonlocal tried
        tried += 1
        read(case)

    once()
    return tried


def _serve(line: Connection, target: Target, folder: Path) -> None:
    from tests.support import fuzz_targets  # noqa: F401, all that is needed is imported before the door is shut

    for name, module in list(sys.modules.items()):
        if name.startswith("spectralearth_build"):
            for loop in [each for each in vars(module).values() if isinstance(each, Kernel)]:
                _ = loop.compiled  # numba asks for its cache folder here
    os.chdir(
        folder
    )  # names relative to open folders, of which Python does not say which, are taken to lie here
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    guard = Guard(folder)
    sys.addaudithook(guard)
    line.send("ready")
    while True:
        case = line.recv()
        guard.seen.clear()
        guard.on = True
        end = ""
        try:
            end = target(folder, case)
            answer = "".join(guard.seen)
        except BaseException:  # an exception that is not ours is what is looked for
            answer = traceback.format_exc() + "".join(guard.seen)
        guard.on = False
        line.send((answer, end))


class Baits:
    """What inputs name and nobody may touch: a pipe, whose reader would hang, and a server on this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.pipe = folder / "pipe"
        os.mkfifo(self.pipe)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}/bait"

    def check(self) -> None:
        """Nobody came, and nothing was written."""
        assert list(self.folder.iterdir()) == [self.pipe]
        assert not self.callers(), "someone came to the server"

    def callers(self) -> int:
        """How many came to the server since it was last asked; all are sent away."""
        count = 0
        while True:
            try:
                caller, _ = self.server.accept()
            except BlockingIOError:
                return count
            caller.close()
            count += 1


class Guard:
    """Notes every path outside of what may be touched, and forbids sockets and other processes."""

    def __init__(self, folder: Path) -> None:
        self.on = False
        self.seen: list[str] = []
        self.read = tuple(
            os.path.realpath(place)
            for place in {
                sys.prefix,
                sys.base_prefix,
                *site.getsitepackages(),
                *sys.path,
                "/usr",
                "/proc",
                "/dev",
            }
            if place
        )
        self.write = (os.path.realpath(folder), "/dev/null")

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by Python on everything of note."""
        if not self.on:
            return
        if event.startswith(_NEVER):
            self._tell(event, arguments)
        elif event in _FILES and isinstance(arguments[0], str | bytes):
            flags = arguments[2] if event == "open" and isinstance(arguments[2], int) else 0
            changes = event not in ("open", "os.listdir", "os.scandir")
            changes = changes or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            self._check(event, _whole(arguments), changes)
        elif event in _PAIRS:
            for path in arguments[:2] if event != "os.symlink" else arguments[1:2]:
                self._check(event, path, changes=True)

    def _check(self, event: str, path: str | bytes, changes: bool) -> None:
        self.on = False  # asking about a path is an event too
        place = Path(os.fsdecode(path)).absolute()
        real = str(place.parent.resolve() / place.name)
        if event in ("open", "os.listdir", "os.scandir", "os.chmod", "os.truncate"):
            real = str(place.resolve())
        allowed = self.write if changes else (*self.write, *self.read)
        self.on = True
        if not any(real == place or real.startswith(f"{place}/") for place in allowed):
            self._tell(event, path)

    def _tell(self, event: str, what: object) -> None:
        self.seen.append(f"forbidden: {event} {what!r}\n")
        raise EscapeError(f"{event} {what!r}")


def _whole(arguments: tuple[Any, ...]) -> str:
    """The path that a call names, where it says relative to which open folder, with that."""
    path, folder = os.fsdecode(arguments[0]), arguments[-1]
    if len(arguments) == 2 and isinstance(folder, int) and folder >= 0:
        return str(Path(f"/proc/self/fd/{folder}").readlink() / path)
    return path
