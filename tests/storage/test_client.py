import pickle
from dataclasses import replace

import obstore.exceptions as refused
import pytest

from spectralearth_build.errors import StorageError
from spectralearth_build.storage import client, entity_tag, retry
from spectralearth_build.storage.client import Client, store_of
from spectralearth_build.storage.entity_tag import proves
from spectralearth_build.storage.url import Remote


@pytest.fixture
def place(bucket):
    return Client(bucket / "some/pre fix")


def test_what_is_written_is_listed_and_read(place, tmp_path):
    assert place.listing() == []
    (tmp_path / "file").write_bytes(b"from a file")
    put = [place.put("b/two", b"22"), place.put("a", tmp_path / "file"), place.put("b/one", b"")]
    assert place.listing() == sorted(put, key=lambda meta: meta.name)
    assert [meta.name for meta in place.listing("b")] == ["b/one", "b/two"]
    assert [(meta.name, meta.size) for meta in place.listing()] == [("a", 11), ("b/one", 0), ("b/two", 2)]
    assert place.read("a") == b"from a file"
    assert place.read("a", 5, 6) == b"a"
    assert place.read("a", 7) == b"file"
    assert place.read("a", 3, 3) == b""
    assert place.head("a") == put[1]
    place.delete("a")
    place.delete("a")
    assert place.head("a") is None
    with pytest.raises(FileNotFoundError):
        place.read("a")


def test_other_prefixes_are_not_seen(bucket):
    Client(bucket / "one").put("x", b"1")
    Client(bucket / "onetwo").put("x", b"2")
    assert [meta.name for meta in Client(bucket / "one").listing()] == ["x"]
    assert [meta.name for meta in Client(bucket).listing()] == ["one/x", "onetwo/x"]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 4321])
def test_parts_up_and_down(place, tmp_path, monkeypatch, size):
    monkeypatch.setattr(client, "PART", 1000)
    data = bytes(i * i % 251 for i in range(size))
    meta = place.put("big", data)
    place.download(meta, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.slow
def test_objects_in_parts_prove_themselves(place, tmp_path):
    data = bytes(range(256)) * 4 * 17000
    assert len(data) > client.LARGE
    (tmp_path / "file").write_bytes(data)
    meta = place.put("big", tmp_path / "file")
    assert meta.etag.strip('"').endswith("-3")
    assert proves(meta.etag, data)
    assert proves(meta.etag, data[:-1] + b"x") is False
    place.download(meta, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


def test_a_download_is_of_one_version(place, tmp_path):
    meta = place.put("x", b"old")
    place.put("x", b"new")
    with pytest.raises(refused.PreconditionError):
        place.download(meta, tmp_path / "copy")


def test_create_makes_once(place):
    assert place.create("x", b"one") == place.head("x")
    assert place.create("x", b"one") == place.head("x")
    assert place.create("x", b"two") is None
    assert place.create("x", b"three") is None
    assert place.read("x") == b"one"


def test_swap_replaces_what_it_knows(place):
    first = place.put("x", b"one")
    second = place.swap(first, b"two")
    assert second == place.head("x")
    assert place.swap(first, b"three") is None
    assert place.swap(first, b"two") == second
    assert place.read("x") == b"two"
    place.delete("x")
    assert place.swap(second, b"four") is None


def test_etags_that_only_look_like_md5(place, tmp_path, monkeypatch):
    monkeypatch.setattr(entity_tag, "proves", lambda etag, data: False)
    meta = place.put("x", b"hello")
    assert place.read("x") == b"hello"
    place.download(meta, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"hello"


def test_no_bucket_is_said_at_once(s3_environment):
    with pytest.raises(
        StorageError,
        match=r"^s3://no-such-bucket: The object store refused the request \(HTTP 404 NoSuchBucket\)",
    ):
        Client(Remote("s3", "no-such-bucket")).listing()


def test_no_server_is_said_after_a_while(s3_environment):
    s3_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3_environment.setattr(retry, "PATIENCE", replace(retry.PATIENCE, tries=2))
    s3_environment.setattr(client, "_RETRY", {"max_retries": 0})
    with pytest.raises(StorageError, match=r"failed 2 times \(last: Connect: connection refused\)"):
        Client(Remote("s3", "b")).read("x")


def test_stores_of_all_schemes_are_made_from_the_environment(s3_environment):
    s3_environment.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    s3_environment.setenv("AZURE_STORAGE_ACCOUNT_KEY", "cGxhbnRlZA==")
    names = [type(store_of(Remote(scheme, "bucket", "x"))).__name__ for scheme in ("s3", "gs", "az")]
    assert names == ["S3Store", "GCSStore", "AzureStore"]


def test_an_environment_that_lacks_something(s3_environment):
    s3_environment.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(StorageError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        store_of(Remote("az", "container"))


def test_clients_are_sent_without_secrets(place):
    place.put("x", b"1")
    assert b"PLANTED" not in pickle.dumps(place).upper()
    assert pickle.loads(pickle.dumps(place)).read("x") == b"1"
