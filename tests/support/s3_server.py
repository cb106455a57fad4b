"""Moto's S3 server in a thread of this process, and what its clients must know."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moto.server import ThreadedMotoServer

ACCESS = "AKIAPLANTEDPLANTED00"
SECRET = "planted+secret/planted+secret/planted+00"
TOKEN = "planted-session-token-planted"
PLANTED = (ACCESS, SECRET, TOKEN)


@dataclass(frozen=True)
class Server:
    """A running server."""

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """The environment of its clients, with credentials that tests look for afterwards."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def make_bucket(self, name: str) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")):
            pass


@contextmanager
def started() -> Iterator[Server]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Server(*server.get_host_and_port())
    finally:
        server.stop()
