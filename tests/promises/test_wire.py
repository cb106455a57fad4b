"""Clusters: nothing listens beyond this machine, connections can be encrypted, and nothing secret is sent."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pickle
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import PurePath

import numpy as np
import pyarrow as pa
import pytest
from distributed import Client
from shapely.geometry.base import BaseGeometry

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.security import FILES, security_of
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError
from tests.support.small_archive import CONFIG, run_stages, write_tile

PLAIN = (
    str,
    bytes,
    int,
    float,
    type(None),
    PurePath,
    datetime.datetime,
    enum.Enum,
    np.generic,
    BaseGeometry,
    pa.Table,
)
LARGEST = 64 << 10
"""Bytes of the arguments of a task."""
SECRETS = {"AWS_SECRET_ACCESS_KEY": "planted-secret-1", "AZURE_STORAGE_KEY": "planted-secret-2"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate that is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1"
    )
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificates can be made here: {error}")
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


def test_a_cluster_with_tls_keeps_others_out(certificates, tmp_path):
    write_tile(tmp_path / "archive", 1)
    with connect(RunConfig(workers=1, dashboard="", tls=str(certificates))) as executor:
        address = executor.client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        for stranger in (address, address.replace("tls://", "tcp://")):
            with pytest.raises((OSError, TypeError, ValueError)):
                Client(stranger, timeout=2, set_as_default=False)
        run_stages(tmp_path / "archive", tmp_path / "d", executor)
        joined = RunConfig(scheduler=address, tls=str(certificates))
        with connect(joined) as other:
            assert dict(other.run("scan", len, {"k": ("abc",)})) == {"k": 3}
    assert verify(tmp_path / "d") == []


def test_tls_is_all_or_nothing(tmp_path):
    assert security_of(RunConfig()) is None
    with pytest.raises(ConfigError, match=r"ca\.pem, cert\.pem, key\.pem"):
        security_of(RunConfig(tls=str(tmp_path)))
    for name in FILES:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="that begins with tls://"):
        security_of(RunConfig(tls=str(tmp_path), scheduler="tcp://10.0.0.1:8786"))


def test_distributed_is_one_without_the_known_hole():
    assert tuple(map(int, version("distributed").split(".")[:2])) >= (2026, 1)


class Listening(InlineExecutor):
    """Keeps what would be sent."""

    def __init__(self):
        object.__setattr__(self, "workers", 1)
        object.__setattr__(self, "memory_limit", None)
        object.__setattr__(self, "sent", [])

    def run(self, stage, function, tasks):
        self.sent.extend((stage, arguments) for arguments in tasks.values())
        for key, outcome in super().run(stage, function, tasks):
            self.sent.append((stage, outcome))
            yield key, outcome


def strange(value):
    """Types of whatever is no plain value, however deep."""
    if isinstance(value, PLAIN):
        return set()
    if isinstance(value, Mapping):
        return strange(list(value.items()))
    if isinstance(value, tuple | list | set | frozenset):
        return set().union(*map(strange, value))
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("spectralearth_build."):
        return strange([getattr(value, field.name) for field in dataclasses.fields(value)])
    if type(value).__module__.startswith("spectralearth_build.config"):
        return strange(value.model_dump(mode="json"))
    if isinstance(value, np.ndarray):
        return set() if value.dtype != object else {np.ndarray}
    return {type(value)}


def test_what_is_sent_is_small_and_plain(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    write_tile(tmp_path / "archive", 1)
    write_tile(tmp_path / "archive", 2)
    executor = Listening()
    run_stages(tmp_path / "archive", tmp_path / "d", executor, CONFIG)
    verify(tmp_path / "d", tmp_path / "archive", executor)
    assert {stage for stage, _ in executor.sent} >= {"scan", "cut", "verify", "compare"}
    for stage, value in executor.sent:
        data = pickle.dumps(value)
        assert len(data) < LARGEST, stage
        assert not [secret for secret in SECRETS.values() if secret.encode() in data], stage
        assert not strange(value), stage
