"""A server that speaks S3 on 127.0.0.1, a bucket of one's own on it, and an environment that leads there."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from spectralearth_build.storage import client, retry
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.retry import Patience
from spectralearth_build.storage.url import Remote
from tests.support.cloud_archive import build, tree, upload, write_archive
from tests.support.fault_proxy import Proxy, between
from tests.support.s3_server import Server, started


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """The server, its data in memory."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with started() as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Credentials and endpoint; short pauses between tries."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retry, "PATIENCE", Patience(tries=10, pause=0.01, longest_pause=0.1, deadline=30))
    quick = {"init_backoff": timedelta(seconds=0.005), "max_backoff": timedelta(seconds=0.02), "base": 2}
    monkeypatch.setattr(client, "_RETRY", {**client._RETRY, "backoff": quick})
    client.store_of.cache_clear()
    yield monkeypatch
    client.store_of.cache_clear()


@pytest.fixture
def bucket(s3_server: Server, s3_environment: pytest.MonkeyPatch) -> Remote:
    """An empty bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_server.make_bucket(name)
    return Remote("s3", name)


@pytest.fixture(scope="session")
def local_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of `cloud_archive` in a folder; not to be written to."""
    folder = tmp_path_factory.mktemp("cloud") / "archive"
    write_archive(folder)
    return folder


@pytest.fixture(scope="session")
def local_set(local_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build from folder to folder leaves; not to be written to."""
    folder = tmp_path_factory.mktemp("cloud-built")
    assert build(local_archive, folder / "set", folder / "staging") == []
    return folder / "set"


@pytest.fixture(scope="session")
def local_tree(local_set: Path) -> dict[str, str]:
    """Hashes of what a build from folder to folder leaves."""
    return tree(local_set)


@pytest.fixture(scope="session")
def cloud_archive(s3_server: Server, local_archive: Path) -> Remote:
    """The archive on the object store; not to be written to."""
    remote = Remote("s3", "shared-archive", "enmap/l2a")
    with on_server(s3_server, remote.bucket):
        upload(local_archive, remote)
    return remote


@pytest.fixture(scope="session")
def cloud_set(
    s3_server: Server, cloud_archive: Remote, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Remote, Path]:
    """What a build from the object store to it leaves there, and in its staging folder; not to be written to."""
    remote, staging = Remote("s3", "shared-set", "data/set"), tmp_path_factory.mktemp("cloud-staging")
    with on_server(s3_server, remote.bucket):
        assert build(cloud_archive, remote, staging, compare=True) == []
    return remote, staging


@pytest.fixture
def finished(cloud_set: tuple[Remote, Path], bucket: Remote) -> Remote:
    """A copy of the finished dataset that may be written to."""
    for meta in Client(cloud_set[0]).listing():
        Client(bucket / "set").put(meta.name, Client(cloud_set[0]).read(meta.name))
    return bucket / "set"


@contextmanager
def on_server(server: Server, bucket: str) -> Iterator[None]:
    """The server's environment, for fixtures of the session, and a new bucket."""
    server.make_bucket(bucket)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        client.store_of.cache_clear()
        yield
        client.store_of.cache_clear()


@pytest.fixture
def through(
    s3_server: Server, bucket: Remote, s3_environment: pytest.MonkeyPatch
) -> Iterator[Callable[..., Proxy]]:
    """A function that starts a proxy and leads clients through it."""
    with ExitStack() as stack:

        def start(**options: object) -> Proxy:
            proxy = stack.enter_context(between(s3_server.host, s3_server.port, **options))
            s3_environment.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
            client.store_of.cache_clear()
            return proxy

        yield start
