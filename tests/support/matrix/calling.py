"""Calls of the command line in processes of their own, forked from a server that has everything imported."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Literal

PATIENCE = 200
"""Seconds after which a call counts as hung."""
Stdout = Literal["file", "closed pipe", "none", "full"]


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    code: int
    """Exit status; minus the number of a signal that killed it."""
    said: str
    """What it wrote to standard output and error."""
    moments: int = 0
    """How many moments it had; see `server.Moments`."""


@dataclass(frozen=True)
class How:
    """What surrounds a call."""

    folder: Path
    """Working directory."""
    stdout: Stdout = "file"
    environment: Mapping[str, str] = field(default_factory=dict)
    moment: int = 0
    """At which moment to call `act`; 0: at none."""
    act: Callable[[int], None] = lambda pid: None
    """What to do then, with the process's id; the process waits for it."""


class Server:
    """The server, and a way to call it.

    Args:
        folder: below it moments are counted.
        name: of the server.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self._one = folder, name, Lock()
        self.line, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(far.fileno())]
        environment = os.environ | threads | {"COLUMNS": "9999", "TERM": "dumb", "NO_COLOR": "1"}
        self.process = subprocess.Popen(command, pass_fds=[far.fileno()], env=environment)
        far.close()
        self.line.settimeout(PATIENCE)
        assert self.line.recv(100) == b"ready"

    def warm(self, *calls: list[str]) -> None:
        """Let the server itself make calls, which must succeed."""
        self.line.send(json.dumps(calls).encode())
        assert self.line.recv(100) == b"warm", "a call of the server itself failed"

    def close(self) -> None:
        """End it."""
        self.line.close()
        self.process.wait(30)

    def call(self, arguments: list[str], how: How) -> Ended:
        """Call the command line and wait for its end."""
        with self._one, ExitStack() as stack:
            mine, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(mine)
            stack.enter_context(far)
            said = stack.enter_context((self.folder / f"{self.name}.txt").open("w+b"))
            fds = {
                "control": far.fileno(),
                "stdin": stack.enter_context(Path(os.devnull).open("rb")).fileno(),
            }
            fds["stderr"] = said.fileno()
            if how.stdout == "file":
                fds["stdout"] = said.fileno()
            elif how.stdout == "full":
                fds["stdout"] = stack.enter_context(Path("/dev/full").open("wb", buffering=0)).fileno()
            elif how.stdout == "closed pipe":
                reader, writer = os.pipe()
                os.close(reader)
                stack.callback(os.close, writer)
                fds["stdout"] = writer
            request = {
                "arguments": arguments, "fds": list(fds), "cwd": str(how.folder),
                "environment": dict(how.environment), "watched": str(self.folder), "moment": how.moment,
            }  # fmt: skip
            socket.send_fds(self.line, [json.dumps(request).encode()], list(fds.values()))
            far.close()
            pid = json.loads(self.line.recv(100))
            try:
                moments = self._attend(mine, pid, how.act)
            finally:
                code = self._end_of(pid)
            said.seek(0)
            text = said.read().decode(errors="replace")
            assert code is not None, f"did not end within {PATIENCE} s after its work was done:\n{text}"
            return Ended(code, text, moments)

    def _end_of(self, pid: int) -> int | None:
        """Wait for a process; None: it hung and was killed."""
        try:
            code: int = json.loads(self.line.recv(100))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self.line.recv(100)
            return None
        return code

    def _attend(self, control: socket.socket, pid: int, act: Callable[[int], None]) -> int:
        """Answer a process until it ends; how many moments it had."""
        while True:
            if not select.select([control], [], [], PATIENCE)[0]:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"no end after {PATIENCE} s")
            message = control.recv(100)
            if not message:
                return 0
            if message[:1] == b"n":
                return int(message[1:])
            act(pid)
            control.send(b"g")
