from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.codec import decode_patch, encode_patch
from spectralearth_build.store.schema import metadata_bytes, reflectance_document
from spectralearth_build.store.shard import ABSENT, ShardReader, write_shard


@cache
def patch(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-99, 3000, (202, 128, 1)).astype(np.int16) + np.zeros((1, 1, 128), np.int16)


def write(path, rows, present, codec="spectral"):
    return write_shard(path, rows, ((row, encode_patch(patch(row % 3), codec)) for row in present))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_zarr_reads_what_was_written(tmp_path_factory, data):
    rows = data.draw(st.integers(1, 6))
    codec = data.draw(st.sampled_from(["spectral", "fast", "portable"]))
    shards = [sorted(data.draw(st.sets(st.integers(0, rows - 1)))) for _ in range(2)]
    folder = tmp_path_factory.mktemp("array")
    (folder / "zarr.json").write_bytes(metadata_bytes(reflectance_document(2, rows, codec)))
    for number, present in enumerate(shards):
        write(folder / f"c.{number}.0.0.0", rows, present, codec)
    array = zarr.open_array(folder, mode="r")
    assert array.shape == (2 * rows, 202, 128, 128)
    for row in range(2 * rows):
        expected = patch(row % rows % 3) if row % rows in shards[row // rows] else np.int16(-32768)
        assert (array[row] == expected).all()


def test_zarr_writes_the_same_shard(tmp_path):
    """Chunk order apart, which zarr takes from a Morton curve and we from the rows; here they agree."""
    (tmp_path / "zarr.json").write_bytes(metadata_bytes(reflectance_document(1, 2, "spectral")))
    array = zarr.open_array(tmp_path, mode="r+")
    array[:] = np.stack([patch(0), patch(1)])
    theirs = (tmp_path / "c.0.0.0.0").read_bytes()
    write(tmp_path / "ours", 2, [0, 1])
    assert (tmp_path / "ours").read_bytes() == theirs


def test_hash_and_size_are_those_of_the_file(tmp_path):
    written = write(tmp_path / "shard", 4, [0, 2])
    data = (tmp_path / "shard").read_bytes()
    assert written.size == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert write(tmp_path / "again", 4, [0, 2]) == written


def test_reader_finds_rows(tmp_path):
    write(tmp_path / "shard", 5, [1, 4])
    reader = ShardReader(tmp_path / "shard", 5)
    assert reader.rows() == [1, 4]
    assert reader.encoded(0) is None
    assert reader.patch(2, "spectral") is None
    assert np.array_equal(reader.patch(4, "spectral"), patch(1))
    assert reader.index[0].tolist() == [int(ABSENT)] * 2
    assert np.array_equal(decode_patch(reader.encoded(1), "spectral"), patch(1))


def test_a_shard_without_patches_is_a_file_too(tmp_path):
    written = write(tmp_path / "shard", 3, [])
    assert written.size == 3 * 16 + 4
    assert ShardReader(tmp_path / "shard", 3).rows() == []


@pytest.mark.parametrize("rows", [[1, 0], [0, 0], [4], [-1]])
def test_rows_ascend_inside_the_shard(tmp_path, rows):
    with pytest.raises(ValueError, match="shard of 4 rows"):
        write(tmp_path / "shard", 4, rows)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_source_leaves_nothing(tmp_path):
    def failing():
        yield 0, b"x"
        raise RuntimeError("source")

    with pytest.raises(RuntimeError, match="source"):
        write_shard(tmp_path / "shard", 4, failing())
    assert list(tmp_path.iterdir()) == []


def test_one_patch_is_in_memory_at_a_time(tmp_path):
    """Each encoded patch is on disk, or in Python's file buffer, before the next is asked for."""
    sizes = []

    def watched():
        for row in range(4):
            partial = next(tmp_path.glob("*.partial"), None)
            sizes.append(partial.stat().st_size if partial else 0)
            yield row, bytes(1 << 20)

    write_shard(tmp_path / "shard", 4, watched())
    assert sizes == [k << 20 for k in range(4)]


@pytest.mark.parametrize("keep", [0, 10, 68, 200, -1])
def test_truncation_is_noticed(tmp_path, keep):
    path = tmp_path / "shard"
    write(path, 4, [0, 3])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedError, match="shard"):
        ShardReader(path, 4)


def test_damage_names_the_file(tmp_path):
    path = tmp_path / "shard"
    write(path, 2, [0, 1])
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    reader = ShardReader(path, 2)
    assert reader.patch(1, "spectral") is not None
    with pytest.raises(DamagedError, match=r"shard: A checksum .*crc32c"):
        reader.patch(0, "spectral")


def test_missing_file(tmp_path):
    with pytest.raises(DamagedError, match="cannot be read"):
        ShardReader(tmp_path / "none", 2)


def test_an_index_that_points_behind_the_end(tmp_path):
    path = tmp_path / "shard"
    write_shard(path, 1, [(0, b"abc")])
    tail = path.read_bytes()[3:]
    path.write_bytes(tail)  # the index is sound, the patch is gone
    with pytest.raises(DamagedError, match="beyond its end"):
        ShardReader(path, 1)
