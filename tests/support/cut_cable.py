"""A TCP proxy on 127.0.0.1 whose cable can be pulled out and plugged in again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Cable:
    """Passes bytes both ways while it is plugged in. Out, it keeps them back, and nobody is told."""

    upstream: tuple[str, int]
    port: int = 0
    plugged: threading.Event = field(default_factory=threading.Event)
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def pull(self) -> None:
        self.plugged.clear()

    def plug(self) -> None:
        self.plugged.set()

    def cut(self) -> None:
        """Close all connections."""
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.plugged.wait()
            try:
                far = socket.create_connection(self.upstream)
            except OSError:
                near.close()
                continue
            self.sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.plugged.wait()
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable(host: str, port: int) -> Iterator[Cable]:
    """Run a proxy in front of a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Cable((host, port), listener.getsockname()[1])
        found.plug()
        threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
        try:
            yield found
        finally:
            found.plug()
            found.cut()
