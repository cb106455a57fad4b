import json
import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from spectralearth_build.errors import StorageError, UsageError
from spectralearth_build.layout import LOCK
from spectralearth_build.storage import lease, lease_object
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.lease import break_lock, holder, require
from spectralearth_build.storage.lease_object import ObjectLease, leased
from spectralearth_build.storage.process_identity import has_ended, presence


@pytest.fixture
def place(bucket):
    return Client(bucket / "dataset")


def test_a_lock_is_held_and_given_back(place):
    with leased(place, "one"):
        require(ObjectLease(place), "one")
        with pytest.raises(UsageError, match="is at work there") as caught, leased(place, "two"):
            raise AssertionError
        assert "unlock s3://" in str(caught.value)
    assert place.listing() == []
    with leased(place, "two"):
        assert holder(ObjectLease(place)) == "two"


def test_of_many_one_gets_it(place):
    won, lost = [], []
    start = threading.Barrier(8)
    end = threading.Barrier(8)

    def run(token):
        start.wait()
        try:
            with leased(place, token):
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


def test_the_lock_of_a_dead_run_here_is_taken_at_once(place):
    place.put(LOCK, b'{"token": "mine-1", "host": "h", "process": 1}')
    with leased(place, "mine-2", mine="mine"):
        require(ObjectLease(place), "mine-2")


def test_a_lock_expires(place, monkeypatch):
    place.put(LOCK, b'{"token": "theirs-1", "host": "h", "process": 1}')
    with pytest.raises(UsageError, match=r"process 1 on 'h'"), leased(place, "mine-2", mine="mine"):
        raise AssertionError
    monkeypatch.setattr(lease, "EXPIRY", timedelta(seconds=-1))
    with leased(place, "mine-2", mine="mine"):
        require(ObjectLease(place), "mine-2")


def test_a_damaged_lock_expires_too(place, monkeypatch):
    place.put(LOCK, b"rubbish")
    with pytest.raises(UsageError), leased(place, "two"):
        raise AssertionError
    monkeypatch.setattr(lease, "EXPIRY", timedelta(seconds=-1))
    with leased(place, "two"):
        require(ObjectLease(place), "two")


def test_a_lock_is_renewed_and_its_loss_noticed(place, monkeypatch):
    monkeypatch.setattr(lease_object, "RENEW", 0.02)
    with leased(place, "one"):
        first = place.head(LOCK)
        while place.head(LOCK) == first:
            pass
        assert break_lock(ObjectLease(place))
        with leased(place, "two"):
            with pytest.raises(StorageError, match="has taken over"):
                require(ObjectLease(place), "one")
            require(ObjectLease(place), "two")
    assert not break_lock(ObjectLease(place))


def test_who_ends_leaves_the_lock_of_others(place):
    with leased(place, "one"):
        place.put(LOCK, b'{"token": "two"}')
    assert holder(ObjectLease(place)) == "two"


ANNOUNCE = """
import json, sys
from spectralearth_build.storage.process_identity import presence
print(json.dumps(presence()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other():
    """A process that has said who it is, and lives until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", ANNOUNCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        described = json.loads(process.stdout.readline())
        if not described["boot"] or not described["space"]:
            pytest.skip("this system does not say which boot and which space of processes this is")
        yield process, described
        process.kill()


def test_the_lock_of_a_killed_run_here_is_taken_at_once_though_its_folder_is_lost(place, other):
    process, described = other
    place.put(LOCK, json.dumps({"token": "unknown-1", **described}).encode())
    with pytest.raises(UsageError, match="is at work there"), leased(place, "mine-2", mine="mine"):
        raise AssertionError
    process.kill()
    process.wait()
    with leased(place, "mine-2", mine="mine"):
        require(ObjectLease(place), "mine-2")


def test_who_cannot_be_seen_from_here_is_not_taken_for_dead(place, other):
    """Containers repeat host names and process numbers."""
    process, described = other
    assert not has_ended(described)
    process.kill()
    process.wait()
    assert has_ended(described)
    for name in ("host", "boot", "space"):
        assert not has_ended({**described, name: "another"}), name
        assert not has_ended({**described, name: ""}), name
    for strange in (None, "1", -1, 0, 2.5):
        assert not has_ended({**described, "process": strange})
    assert not has_ended(
        {"token": "t", "host": described["host"], "process": described["process"]}
    )  # of before


def test_a_process_number_that_was_given_again(other):
    process, described = other
    assert has_ended({**described, "began": "1"})
    os.kill(process.pid, 9)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet forgotten
    assert has_ended(described)


def test_what_the_system_does_not_say_convicts_nobody(monkeypatch, tmp_path):
    from spectralearth_build.storage import process_identity as module

    monkeypatch.setattr(module, "PROC", tmp_path)
    assert not has_ended({**presence(), "process": 2**22 + 1})
