"""A proxy between a client and an S3 server that spoils requests by a seeded schedule.

What happens to a request depends on the seed, its method and path, and how often it came before, not on the order in
which threads happen to come: the same seed gives the same faults.
"""

from __future__ import annotations

import hashlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("unavailable", "reset", "lost", "cut", "slow", "spoilt-down", "spoilt-up")
"""503 without asking the server; connection reset before; reset after the server has answered; half an answer; an
answer that takes a while; a bit of an object flipped on its way down or up."""


@dataclass
class Proxy:
    """What is done to requests, and what has been done so far."""

    upstream: tuple[str, int]
    seed: int = 0
    rate: float = 0.0
    """Share of requests that are spoilt."""
    faults: tuple[str, ...] = FAULTS
    forget: tuple[str, ...] = ()
    """Headers that are not passed on."""
    before: Callable[[str, str], None] = lambda method, path: None
    """Called with each request."""
    tell: tuple[int, str] = (403, "")
    """Status and text of answers to requests whose fault is "telling", which is none of the usual."""
    port: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, method: str, path: str) -> str:
        """What happens to this request; empty: nothing."""
        with self.guard:
            turn = self.requests[method, path]
            self.requests[method, path] += 1
            self.counts["requests"] += 1
            name = path.removeprefix("/").partition("/")[2]  # without the bucket, whose name is random
            dice = hashlib.sha256(f"{self.seed} {method} {name} {turn}".encode()).digest()
            if int.from_bytes(dice[:4], "big") >= self.rate * 2**32:
                return ""
            chosen = self.faults[dice[4] % len(self.faults)]
            if (chosen == "spoilt-up") != (method == "PUT") and chosen.startswith("spoilt"):
                chosen = "reset"
            self.counts[chosen] += 1
            return chosen


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, or spoils it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        proxy.before(self.command, self.path)
        fault = proxy.fault(self.command, self.path)
        if fault == "reset":
            return self.drop()
        if fault == "unavailable":
            return self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
        if fault == "telling":
            status, told = proxy.tell
            message = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{told}</Message></Error>"
            return self.answer(status, [], message.encode())
        if fault == "slow":
            time.sleep(0.02)
        if fault == "spoilt-up":
            body = self.flipped(body)
        status, headers, content = self.forward(body)
        if fault == "lost":
            return self.drop()
        if fault == "spoilt-down" and self.command == "GET" and status < 300 and "list-type" not in self.path:
            content = self.flipped(content)
        self.answer(status, headers, content, cut=fault == "cut")
        return None

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = handle_any  # noqa: N815

    def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        link = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=30)
        forget = self.server.proxy.forget
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in forget}
            link.request(self.command, self.path, body, headers)
            answer = link.getresponse()
            content = answer.read()
            return answer.status, answer.getheaders(), content
        finally:
            link.close()

    def answer(self, status: int, headers: list[tuple[str, str]], content: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        length = next(
            (v for k, v in headers if k.lower() == "content-length" and self.command == "HEAD"), len(content)
        )
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.drop()

    def flipped(self, data: bytes) -> bytes:
        """The same with one bit flipped, each time another."""
        if not data:
            return data
        place = 7919 * sum(self.server.proxy.counts.values()) % len(data)
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    def drop(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Closes connections without a farewell, so that linger can reset them."""

    daemon_threads = True
    request_queue_size = 128
    proxy: Proxy

    def shutdown_request(self, request: object) -> None:
        self.close_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client hung up


@contextmanager
def between(host: str, port: int, **options: object) -> Iterator[Proxy]:
    """Run a proxy in front of a server."""
    proxy = Proxy((host, port), **options)  # type: ignore[arg-type]
    with Server(("127.0.0.1", 0), Handler) as server:
        server.proxy = proxy
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
