"""The command line on an object store: killed, resumed, and searched for credentials."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import traceback

import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.storage.client import Client
from tests.support.cloud_archive import tree
from tests.support.s3_server import PLANTED

OPTIONS = ("--scheduler", "inline", "--set", "store.shard_rows=1")
KILLS = (60,)
"""Each run is killed at so many requests to the dataset."""


@pytest.mark.slow
def test_killed_and_resumed(local_tree, cloud_archive, bucket, tmp_path, through):
    proxy = through()
    dataset = bucket / "set"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "spectralearth_build",
        "build",
        str(cloud_archive),
        str(dataset),
        *OPTIONS,
    ]
    told = ""
    for number in (*KILLS, None):
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            count = iter(range(1, 10**6))

            def look(method, path, process=process, count=count, number=number):
                if bucket.bucket in path and next(count) == number:
                    os.kill(process.pid, signal.SIGKILL)

            proxy.before = look
            told += process.communicate(timeout=120)[0]
        assert process.returncode == (-signal.SIGKILL if number else 4), told  # some tiles are damaged
        if number:  # the lock alone must say that its owner is dead
            shutil.rmtree(tmp_path / "spectralearth-build")
    expected = {name: value for name, value in tree(dataset).items() if name != "report.html"}
    assert expected == local_tree
    assert "verify: everything is sound" in told
    assert f"report: {dataset}/report.html" in told
    search(told, tmp_path, dataset)


def search(told, folder, dataset):
    """Nothing planted is in what was said, in any file here, or in any object there."""
    content = [told.encode()]
    content += [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.stat().st_blocks]
    content += [Client(dataset).read(meta.name) for meta in Client(dataset).listing()]
    assert len(content) > 50
    for secret in PLANTED:
        assert not any(secret.encode() in data for data in content)


@pytest.mark.parametrize("status", [403, 400])
def test_errors_repeat_no_secrets(local_archive, bucket, tmp_path, through, monkeypatch, status):
    proxy = through(rate=1.0, faults=("telling",))
    proxy.tell = (status, " ".join(PLANTED))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["build", str(local_archive), str(bucket), *OPTIONS, "--debug"])
    assert done.exit_code == 69
    assert f"HTTP {status} SignatureDoesNotMatch" in done.output
    shown = done.output + "".join(traceback.format_exception(done.exception))
    assert not any(secret in shown for secret in PLANTED)


@pytest.mark.parametrize(
    "url", ["s3://{}:{}@bucket/x", "s3://bucket/x?key={}&secret={}", "https://{}:{}@host/x"]
)
def test_urls_with_secrets_are_refused_and_not_repeated(local_archive, url, tmp_path):
    secret = url.format(*PLANTED[:2])
    archive, dataset = str(local_archive), str(tmp_path / "d")
    for arguments in (["build", archive, secret], ["build", secret, dataset], ["verify", secret]):
        done = CliRunner().invoke(app, [*arguments, "--debug"])
        assert done.exit_code == 2
        assert not any(part in done.output for part in PLANTED)


def test_unlock(bucket):
    def call(*arguments):
        return CliRunner().invoke(app, list(arguments))

    Client(bucket).put("work/lock.json", b"{}")
    assert "is unlocked" in call("unlock", str(bucket)).output
    assert "was not locked" in call("unlock", str(bucket)).output
    assert call("unlock", "/tmp").exit_code == 2
