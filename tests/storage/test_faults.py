"""Single operations with every kind of fault in between: they succeed, and what they leave is right."""

import pytest

from spectralearth_build.errors import StorageError
from spectralearth_build.storage import client, retry
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.lease_object import leased, prove
from spectralearth_build.storage.retry import Patience
from tests.support.fault_proxy import FAULTS


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_survives_every_fault(through, bucket, tmp_path, fault):
    proxy = through(rate=0.4, faults=(fault,), seed=3)
    place = Client(bucket / "x")
    for number in range(4):
        data = bytes([number]) * (1000 + number)
        assert place.put(f"put-{number}", data).size == len(data)
        assert place.create(f"made-{number}", data) is not None
        meta = place.create(f"made-{number}", data)
        assert meta is not None
        assert place.create(f"made-{number}", b"other") is None
        assert place.swap(meta, b"swapped") is not None
        assert place.swap(meta, b"again") is None
        assert place.read(f"put-{number}") == data
        assert place.read(f"made-{number}") == b"swapped"
        place.download(place.head(f"put-{number}"), tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data
        place.delete(f"made-{number}")
    assert [meta.name for meta in place.listing()] == [f"put-{number}" for number in range(4)]
    assert proxy.counts[fault] + proxy.counts["reset"] > 5


def test_parts_survive_too(through, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "PART", 2000)
    proxy = through(rate=0.3, seed=1)
    data = bytes(range(256)) * 100
    meta = Client(bucket).put("big", data)
    Client(bucket).download(meta, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    assert proxy.counts["requests"] > 10


def test_an_acknowledgement_that_never_comes_is_no_other_run(through, bucket):
    proxy = through(rate=1.0, faults=("lost",))
    proxy.rate = 1.0
    retried = iter([1.0, 0.0])
    proxy.before = lambda method, path: setattr(proxy, "rate", next(retried, 0.0))
    assert Client(bucket).create("mine", b"content") is not None
    assert proxy.counts["lost"] == 1


def test_patience_ends(through, bucket, monkeypatch):
    monkeypatch.setattr(retry, "PATIENCE", Patience(tries=3, pause=0.01))
    monkeypatch.setattr(client, "_RETRY", {"max_retries": 0})
    proxy = through(rate=1.0, faults=("unavailable",))
    with pytest.raises(StorageError, match=r"failed 3 times \(last: HTTP 503 SlowDown\)"):
        Client(bucket).read("x")
    assert proxy.counts["requests"] == 3


@pytest.mark.parametrize(("forgotten", "what"), [("if-none-match", "create"), ("if-match", "replace")])
def test_a_store_without_conditions_is_refused(through, bucket, forgotten, what):
    through(forget=(forgotten,))
    with pytest.raises(StorageError, match=f"does not support conditional {what}"):
        prove(Client(bucket), "token")
    with pytest.raises(StorageError), leased(Client(bucket), "token"):
        raise AssertionError
    assert Client(bucket).listing() == []


@pytest.mark.slow
def test_the_proof_survives_faults(through, bucket):
    proxy = through(rate=0.4, seed=5)
    for number in range(10):
        prove(Client(bucket), f"token-{number}")
    assert proxy.counts["lost"] > 0
    assert proxy.counts["spoilt-up"] > 0
