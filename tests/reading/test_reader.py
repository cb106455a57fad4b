import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import DamagedError
from spectralearth_build.loader import open_reader
from spectralearth_build.reading.foreign import ZarrReader
from spectralearth_build.reading.sharded import ShardedReader
from spectralearth_build.store.codec import NODATA, PATCH_SHAPE, PRESETS
from spectralearth_build.store.shard import ShardReader
from tests.support.files import flip_bit
from tests.support.loader_data import pixels_of, write_array

stores = st.tuples(
    st.sampled_from(list(PRESETS)),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sets(st.integers(0, 11), max_size=4),
)


def read(reader, row):
    out = np.full(reader.layout.shape, 7, np.int16)
    return reader.read_into(row, out), out


@pytest.mark.slow
@settings(max_examples=12)
@given(stores)
def test_same_as_zarr_on_every_store(tmp_path_factory, store):
    codec, shard_rows, shards, present = store
    folder = tmp_path_factory.mktemp("store") / "a"
    rng = np.random.default_rng(0)
    patches = {row: pixels_of(row) + rng.integers(-9, 9, PATCH_SHAPE, np.int16) for row in present}
    patches = {row: patch for row, patch in patches.items() if row < shards * shard_rows}
    array = write_array(folder, patches, shards, shard_rows, codec)
    reader = open_reader(folder)
    assert isinstance(reader, ShardedReader)
    for row in range(shards * shard_rows):
        there, out = read(reader, row)
        assert there == (row in patches)
        assert np.array_equal(out, array[row])
        assert (reader.encoded(row) is None) == (row not in patches)
    shutil.rmtree(folder.parent)


FOREIGN = {
    "zstd in shards": {
        "shards": (4, 3, 5, 6),
        "chunks": (1, 3, 5, 6),
        "compressors": zarr.codecs.ZstdCodec(level=1),
    },
    "gzip, no shards": {"chunks": (1, 3, 5, 6), "compressors": zarr.codecs.GzipCodec(level=1)},
    "chunks of bands": {"shards": (2, 3, 5, 6), "chunks": (1, 1, 5, 6)},
    "raw": {"chunks": (3, 3, 5, 6), "compressors": None},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_stores_are_read_by_zarr(kind, tmp_path):
    array = zarr.create_array(
        tmp_path / "a", shape=(6, 3, 5, 6), dtype="int16", fill_value=NODATA, **FOREIGN[kind]
    )
    array[1:3] = np.arange(180).reshape(2, 3, 5, 6)
    reader = open_reader(tmp_path / "a")
    assert isinstance(reader, ZarrReader)
    for row in range(6):
        there, out = read(reader, row)
        assert there == (row in (1, 2))
        assert np.array_equal(out, array[row])
    assert np.array_equal(read(pickle.loads(pickle.dumps(reader)), 2)[1], array[2])
    with pytest.raises(IndexError):
        read(reader, 6)


def test_a_patch_sized_store_of_another_codec_is_foreign(tmp_path):
    array = zarr.create_array(tmp_path / "a", shape=(2, *PATCH_SHAPE), shards=(2, *PATCH_SHAPE), dtype="int16",
                              chunks=(1, *PATCH_SHAPE), fill_value=NODATA)  # fmt: skip
    array[1] = pixels_of(3)
    reader = open_reader(tmp_path / "a")
    assert isinstance(reader, ZarrReader)
    assert np.array_equal(read(reader, 1)[1], pixels_of(3))
    flip_bit(tmp_path / "a/c/0/0/0/0", 8 * (5000))
    with pytest.raises(DamagedError, match="zarr-python cannot read row 1"):
        read(reader, 1)


def test_separators_of_slashes(tmp_path, known):
    """Keys as zarr-python writes them by default."""
    text = (known.array / "zarr.json").read_text()
    for row in known.written["store_row"]:
        target = tmp_path / f"c/{row // 4}/0/0/0"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(known.shard(row), target)
    (tmp_path / "zarr.json").write_text(text.replace('"separator": "."', '"separator": "/"'))
    reader = open_reader(tmp_path)
    assert isinstance(reader, ShardedReader)
    assert np.array_equal(read(reader, int(known.written["store_row"].iloc[0]))[1], zarr.open_array(tmp_path)[
        int(known.written["store_row"].iloc[0])])  # fmt: skip


def test_encoded_bytes_are_those_in_the_shard(known):
    row = int(known.written["store_row"].iloc[2])
    assert open_reader(known.array).encoded(row) == ShardReader(known.shard(row), 4).encoded(row % 4)


def test_many_threads(known):
    reader = open_reader(known.array)
    rows = known.written["store_row"].tolist() * 4

    def same(row):
        return np.array_equal(read(reader, row)[1], pixels_of(row))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, rows))


def test_a_damaged_patch_is_named(own):
    row = int(own.written["store_row"].iloc[0])
    start, _ = ShardReader(own.shard(row), 4).index[row % 4].tolist()
    flip_bit(own.shard(row), 8 * (start + 100))
    reader = open_reader(own.array)
    with pytest.raises(DamagedError, match=rf"{own.shard(row).name}: Row {row}: A checksum") as caught:
        read(reader, row)
    assert caught.value.path == str(own.shard(row))
    others = [int(r) for r in own.written["store_row"] if r != row]
    assert all(np.array_equal(read(reader, r)[1], pixels_of(r)) for r in others)


def test_damaged_indices_are_named(own):
    rows = own.written["store_row"]
    first, second, third = sorted({int(row) // 4 for row in rows})[:3]
    flip_bit(own.shard(4 * first), 8 * (-3))
    own.shard(4 * second).write_bytes(own.shard(4 * second).read_bytes()[:20])
    own.shard(4 * third).write_bytes(own.shard(4 * third).read_bytes()[1000:])
    reader = open_reader(own.array)
    for shard, what in (
        (first, "A checksum"),
        (second, "20 bytes, fewer than its index"),
        (third, "beyond its end"),
    ):
        row = next(int(row) for row in rows if row // 4 == shard)
        with pytest.raises(DamagedError, match=f"Row {row}: .*{what}"):
            read(reader, row)


def test_missing_shards_and_rows(own):
    row = int(own.written["store_row"].iloc[0])
    own.shard(row).unlink()
    reader = open_reader(own.array)
    there, out = read(reader, row)
    assert not there
    assert (out == NODATA).all()
    for wrong in (-1, 20):
        with pytest.raises(IndexError, match="20 rows"):
            read(reader, wrong)


def test_no_array(tmp_path):
    with pytest.raises(DamagedError, match=r"zarr.json: The array does not exist"):
        open_reader(tmp_path)
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(DamagedError, match="not valid JSON"):
        open_reader(tmp_path)
    (tmp_path / "zarr.json").write_text('{"shape": [3]}')
    with pytest.raises(DamagedError, match="Not the metadata"):
        open_reader(tmp_path)
    zarr.create_array(tmp_path / "b", shape=(2, 3, 4, 5), dtype="float32")
    with pytest.raises(DamagedError, match="int16, got float32"):
        open_reader(tmp_path / "b")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_on(known):
    """Descriptors are shared with the child; positioned reads do not disturb each other."""
    reader = open_reader(known.array)
    row = int(known.written["store_row"].iloc[0])
    read(reader, row)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(read(reader, row)[1], pixels_of(row)) else 1)
    assert np.array_equal(read(reader, row)[1], pixels_of(row))
    assert os.waitpid(child, 0)[1] == 0
