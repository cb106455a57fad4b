"""A stand-in for an object store that repeats what it is sent in all that it answers, as some gateways do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = "<html><body>Please log in. {echo}</body></html>"
ERROR = "<Error><Code>{code}</Code><Message>{echo}</Message></Error>"


@dataclass
class Echo:
    """What is answered."""

    status: int = 403
    code: str = "AccessDenied"
    form: str = ERROR
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    seen: list[str] = field(default_factory=list)
    """What was sent, to know what must not be shown."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        echo = self.server.echo  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = f"{self.path} {dict(self.headers)} {body[:2000]!r}"
        echo.seen.append(sent)
        data = echo.form.format(code=echo.code, echo=sent).encode()
        self.send_response(echo.status)
        for name, value in {
            **echo.headers,
            "x-echo": repr(sent)[:4000],
            "Content-Length": str(len(data)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = handle_any  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the client hung up


@contextmanager
def echoing(**options: object) -> Iterator[Echo]:
    """Run the server."""
    with _Server(("127.0.0.1", 0), Handler) as server:
        server.echo = Echo(port=server.server_address[1], **options)  # type: ignore[attr-defined, arg-type]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.echo  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()
