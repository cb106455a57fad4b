"""Datasets on an object store: moto's S3 server on this machine."""

import logging

import numpy as np
import pytest

from spectralearth_build.errors import DamagedError, StorageError, UsageError
from spectralearth_build.loader import Loader, PatchDataset, open_reader
from spectralearth_build.reading.sharded import ShardedReader
from spectralearth_build.store.codec import NODATA
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.threads import cores
from tests.support.files import flip_bit
from tests.support.loader_data import pixels_of

pytest.importorskip("obstore")
pytest.importorskip("moto")
pytest.importorskip("torch")
from spectralearth_build.storage import client, retry
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.url import Remote
from tests.support.s3_server import started


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with started() as running:
        yield running


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retry, "PATIENCE", retry.Patience(tries=3, pause=0.01, deadline=10))
    client.store_of.cache_clear()
    server.make_bucket("pixels")
    yield "s3://pixels"
    client.store_of.cache_clear()


@pytest.fixture
def remote(own, bucket):
    """URL of a copy of the dataset; its local twin is ``own``."""
    upload(own, "pixels", "some/dataset")
    return f"{bucket}/some/dataset"


def upload(own, bucket, prefix):
    to = Client(Remote("s3", bucket, prefix))
    for path in sorted(own.folder.rglob("*")):
        if path.is_file():
            to.put(str(path.relative_to(own.folder)), path.read_bytes())


@pytest.mark.slow
def test_same_as_from_files(own, remote):
    reader = open_reader(f"{remote}/store.zarr/reflectance")
    assert isinstance(reader, ShardedReader)
    assert reader.remote
    out = np.empty(reader.layout.shape, np.int16)
    for row in range(20):
        there = row in set(own.written["store_row"])
        assert reader.read_into(row, out) == there
        assert np.array_equal(out, pixels_of(row)) if there else (out == NODATA).all()
    options = {"batch_size": 4, "dates": 2, "max_cloud": 0.035, "copy": True, "as_numpy": True}
    loader = Loader(remote, **options)
    assert loader.threads == 2 * cores()
    for near, far in zip(Loader(own.folder, **options), loader, strict=True):
        assert all(np.array_equal(near[name], far[name]) for name in near)
    assert np.array_equal(PatchDataset(remote)[3]["pixels"], PatchDataset(own.folder)[3]["pixels"])
    assert len(Loader(remote, 5, split="train", bbox=(10.0, 40.0, 11.0, 60.0)).samples) == 3


def test_damage_is_named_with_its_url(own, bucket):
    row = int(own.written["store_row"].iloc[0])
    start, _ = ShardReader(own.shard(row), 4).index[row % 4].tolist()
    flip_bit(own.shard(row), 8 * (start + 77))
    gone = next(int(r) for r in own.written["store_row"] if r // 4 != row // 4)
    own.shard(gone).unlink()
    upload(own, "pixels", "damaged")
    url = f"{bucket}/damaged/store.zarr/reflectance"
    reader = open_reader(url)
    out = np.empty(reader.layout.shape, np.int16)
    with pytest.raises(DamagedError, match=rf"{url}/{own.shard(row).name}: Row {row}: A checksum"):
        reader.read_into(row, out)
    assert not reader.read_into(gone, out)


def test_what_came_damaged_is_asked_for_again(own, remote, monkeypatch):
    reader = open_reader(f"{remote}/store.zarr/reflectance")
    row = int(own.written["store_row"].iloc[0])
    fetched, spoilt = reader._objects.fetched, []

    async def once(name, start, length):
        data = await fetched(name, start, length)
        if not spoilt:
            spoilt.append(name)
            return memoryview(b"\x00" + bytes(data)[1:])
        return data

    monkeypatch.setattr(reader._objects, "fetched", once)
    out = np.empty(reader.layout.shape, np.int16)
    assert reader.read_into(row, out)
    assert spoilt
    assert np.array_equal(out, pixels_of(row))


def test_foreign_arrays(bucket, tmp_path):
    import zarr

    array = zarr.create_array(
        tmp_path / "a", shape=(4, 2, 3, 5), chunks=(2, 2, 3, 5), dtype="int16", fill_value=NODATA
    )
    array[1] = np.arange(30).reshape(2, 3, 5)
    to = Client(Remote("s3", "pixels", "foreign"))
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            to.put(str(path.relative_to(tmp_path / "a")), path.read_bytes())
    reader = open_reader(f"{bucket}/foreign")
    out = np.empty((2, 3, 5), np.int16)
    assert reader.read_into(1, out)
    assert np.array_equal(out.ravel(), np.arange(30))
    assert not reader.read_into(2, out)


def test_nothing_there(bucket):
    with pytest.raises(UsageError, match=r"s3://pixels/nothing"):
        Loader(f"{bucket}/nothing")
    with pytest.raises(DamagedError, match=r"s3://pixels/nothing/zarr.json: The array does not exist"):
        open_reader(f"{bucket}/nothing")
    with pytest.raises((StorageError, DamagedError), match=r"s3://no-such-bucket-anywhere/x"):
        open_reader("s3://no-such-bucket-anywhere/x")
