"""Where locks do not work, a lease keeps other runs off."""

import fcntl
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from spectralearth_build import lock
from spectralearth_build.errors import StoppedError, UsageError
from spectralearth_build.journal import replaced_together
from spectralearth_build.layout import LOCK, PENDING_LIST, PLAN
from spectralearth_build.lock import alone, is_local
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.storage import lease, lease_file
from spectralearth_build.storage.lease_file import FileLease
from spectralearth_build.storage.process_identity import presence
from tests.support import no_locks
from tests.support.processes import started, wait_for

DAY = 86_400
ELSEWHERE = json.dumps({"token": "theirs", **presence(), "host": "node07", "process": 4711}).encode()
"""The lease of a process that cannot be seen from here."""


@pytest.fixture(params=no_locks.FAULTS)
def folder(request, monkeypatch, tmp_path):
    """A folder whose locks do not work, and whose leases expire after half a second."""
    no_locks.patch(monkeypatch, request.param, expiry=0.5)
    return tmp_path / "dataset"


@pytest.fixture
def one(monkeypatch, tmp_path):
    """The same for one kind of fault; a lease expires after much longer than a test takes."""
    no_locks.patch(monkeypatch, "locks of one machine only", expiry=600)
    return tmp_path / "dataset"


def leave(folder, content=ELSEWHERE, age=0.0):
    """Leave the lease of another run."""
    (folder / LOCK).parent.mkdir(parents=True)
    (folder / LOCK).write_bytes(content)
    os.utime(folder / LOCK, (time.time() - age,) * 2)


@contextmanager
def alive(path, ahead):
    """Another machine gives signs of life, by a clock that is ahead of ours."""
    ended = threading.Event()

    def live():
        for beat in itertools.count():
            os.utime(path, (time.time() + ahead + beat,) * 2)
            if ended.wait(0.05):
                return

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_the_second_run_is_refused_while_the_first_lives(folder):
    with alone(folder):
        with (
            pytest.raises(UsageError, match=rf"process {os.getpid()} on .* is at work there") as caught,
            alone(folder),
        ):
            raise AssertionError
        raise_if_stopped()
    assert caught.value.path == str(folder / LOCK)
    assert not (folder / LOCK).exists()
    with alone(folder):
        pass


@pytest.mark.parametrize("age", [-DAY, 0, DAY])
def test_the_lease_of_a_run_elsewhere_expires_whatever_the_clocks_say(folder, age, capsys):
    leave(folder, age=age)
    began = time.monotonic()
    with alone(folder):
        assert time.monotonic() - began >= 0.5
        assert json.loads((folder / LOCK).read_bytes())["process"] == os.getpid()
    said = capsys.readouterr().out
    assert "process 4711 on 'node07'" in said
    assert f"if you are sure that it is dead, run `spectralearth-build unlock {folder}`" in " ".join(
        said.split()
    )


@pytest.mark.parametrize("ahead", [-DAY, 0, DAY])
def test_a_run_elsewhere_that_lives_is_left_alone_whatever_the_clocks_say(one, ahead):
    leave(one)
    with alive(one / LOCK, ahead), pytest.raises(UsageError, match="is at work there"), alone(one):
        raise AssertionError
    assert (one / LOCK).read_bytes() == ELSEWHERE


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(one):
    dead = {**presence(), "began": "1"}
    if not dead["boot"]:
        pytest.skip("this system does not say which boot this is")
    leave(one, json.dumps({"token": "theirs", **dead}).encode())
    with alone(one):
        pass


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"token": 7}'])
def test_a_lease_that_says_nothing_expires_too(folder, content):
    leave(folder, content)
    with alone(folder):
        pass
    assert not (folder / LOCK).exists()


def test_deleting_the_file_lets_a_waiting_run_go_on(one):
    leave(one)
    deleting = threading.Timer(0.2, (one / LOCK).unlink)
    deleting.start()
    with alone(one):
        pass


def test_who_loses_its_lease_stops_at_the_next_safe_point(one):
    with alone(one):
        raise_if_stopped()
        (one / LOCK).write_bytes(ELSEWHERE)

        def stopped():
            try:
                raise_if_stopped()
            except StoppedError as error:
                return error

        assert "Another run has taken over" in str(wait_for(stopped))
        with pytest.raises(StoppedError), replaced_together(one) as made:
            (made / PLAN).write_bytes(b"of a run that was overtaken")
        assert not (one / PENDING_LIST).exists()
    assert (one / LOCK).read_bytes() == ELSEWHERE
    raise_if_stopped()


def test_of_many_that_find_a_dead_lease_one_gets_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lease_file, "RENEW", 0.02)
    monkeypatch.setattr(lease_file, "TICK", 0.01)
    for number in range(10):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"token": "theirs", **presence(), "began": "1"}))
        won, lost, start, end = [], [], threading.Barrier(8), threading.Barrier(8)

        def run(token, path=path, won=won, lost=lost, start=start, end=end):
            start.wait()
            try:
                with lease.held(FileLease(path, lambda line: None), token):
                    won.append(token)
                    end.wait()
            except UsageError:
                lost.append(token)
                end.wait()

        threads = [threading.Thread(target=run, args=(f"run-{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 7)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_died_while_taking_over_locks_nobody_out(one):
    dead = [
        json.dumps({"token": token, **presence(), "began": "1"}).encode() for token in ("first", "second")
    ]
    leave(one, dead[0])
    successor = one / f"{LOCK}.{hashlib.sha256(dead[0]).hexdigest()[:16]}"
    successor.write_bytes(dead[1])
    with alone(one):
        assert [path.name for path in successor.parent.iterdir()] == ["lock.json"]


def test_on_a_disk_of_this_machine_there_is_no_lease(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "LOCAL", ())
    assert not is_local(tmp_path)
    monkeypatch.undo()
    if not is_local(tmp_path):
        pytest.skip("temporary files are not on a disk of this machine")
    assert is_local(tmp_path / "not" / "there")
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_lease_counts_on_a_disk_of_this_machine_too(tmp_path, monkeypatch):
    """The folder may be shared with others from here."""
    monkeypatch.setattr(lease_file, "TICK", 0.01)
    leave(tmp_path)
    with alive(tmp_path / LOCK, 0), pytest.raises(UsageError, match="is at work there"), alone(tmp_path):
        raise AssertionError


@pytest.fixture
def mounts(tmp_path):
    """Two mounts of one folder, each with locks of its own, like two machines."""
    if not shutil.which("bindfs") or os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("this needs bindfs and root")
    folders = [tmp_path / name for name in ("there", "first", "second")]
    for folder in folders:
        folder.mkdir()
    try:
        for folder in folders[1:]:
            subprocess.run(["bindfs", folders[0], folder], check=True)
        yield folders[1:]
    finally:
        for folder in folders[1:]:
            subprocess.run(["umount", folder], check=False)


def test_two_mounts_of_one_folder_exclude_each_other(mounts, monkeypatch):
    monkeypatch.setattr(lease_file, "TICK", 0.05)
    first, second = (mount / "dataset" for mount in mounts)
    command = [sys.executable, "-c", no_locks.QUICK + no_locks.HOLD, first]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == "held\n"
        descriptor = os.open(second, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it locks nobody out
        os.close(descriptor)
        with pytest.raises(UsageError, match="is at work there"), alone(second):
            raise AssertionError
    with alone(second):
        assert (first / LOCK).is_file()


def test_readers_are_refused_while_another_run_has_the_lease(one):
    with alone(one), pytest.raises(UsageError, match="is at work there"), alone(one, write=False):
        raise AssertionError
    with alone(one, write=False):
        pass


def test_readers_and_harmless_runs_have_no_lease(one):
    with alone(one, lease=False), alone(one, write=False):
        assert not (one / LOCK).exists()
