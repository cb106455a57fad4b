from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.codec import (
    BAND_DELTA,
    NODATA,
    PATCH_BYTES,
    PATCH_SHAPE,
    PRESETS,
    SCRATCH_WORDS,
    BandDelta,
    accumulate,
    decode_into,
    decode_patch,
    difference,
    documents,
    encode_patch,
)
from tests.support.store_pixels import land, noise, pair

CUBES = arrays(np.int16, st.tuples(*[st.integers(1, 5)] * 4))
REAL = {
    "pair, west": lambda: pair()[0],
    "pair, east": lambda: pair()[1],
    "land": land,
    "land, half the noise": lambda: land(0.5),
}


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compiling counts against no example's deadline."""
    for codec in PRESETS:
        decode_patch(encode_patch(noise(), codec), codec)


@settings(deadline=None)
@given(CUBES, st.integers(0, 3), st.booleans())
def test_difference_is_undone_exactly_along_every_axis(cube, axis, zigzag):
    coded = difference(cube, axis, zigzag)
    wide = np.diff(cube.astype(np.int64), axis=axis, prepend=0)  # the definition, without wrapping
    folded = (wide + 32768) % 65536 - 32768
    expected = np.where(folded < 0, -2 * folded - 1, 2 * folded) if zigzag else wide
    assert np.array_equal(coded.astype(np.int64) % 65536, expected % 65536)
    accumulate(coded, axis, zigzag)
    assert np.array_equal(coded, cube)


@settings(max_examples=25, deadline=None)
@given(CUBES, st.booleans())
def test_zarr_round_trip_is_exact(cube, zigzag):
    array = zarr.create_array(
        MemoryStore(),
        shape=cube.shape,
        dtype="int16",
        chunks=(1, *cube.shape[1:]),
        filters=[BandDelta(1, zigzag)],
    )
    array[:] = cube
    assert np.array_equal(array[:], cube)


def test_metadata_names_the_codec_and_reads_back():
    store = MemoryStore()
    zarr.create_array(store, shape=(2, 3, 4, 4), dtype="int16", filters=[BandDelta(1)])
    document = json.loads(store._store_dict["zarr.json"].to_bytes())
    configuration = {"axis": 1, "zigzag": True}
    assert document["codecs"][0] == {"name": "spectralearth.band_delta", "configuration": configuration}
    reopened = zarr.open_array(store, mode="r")
    assert reopened.filters == (BandDelta(1),)


@pytest.mark.parametrize(
    "document",
    [
        {"name": "delta"},
        {"name": BAND_DELTA, "configuration": {"axis": -1}},
        {"name": BAND_DELTA, "configuration": {"axis": "1"}},
        {"name": BAND_DELTA, "configuration": {"axes": 1}},
    ],
)
def test_foreign_metadata_is_refused(document):
    with pytest.raises(ValueError, match="band_delta"):
        BandDelta.from_dict(document)


@pytest.mark.parametrize(("shape", "dtype"), [((4,), "int16"), ((4, 4), "int32"), ((4, 4), "float16")])
def test_arrays_it_cannot_code_are_refused(shape, dtype):
    with pytest.raises(ValueError, match="16-bit integers along axis 1"):
        zarr.create_array(MemoryStore(), shape=shape, dtype=dtype, filters=[BandDelta(1)])


@pytest.mark.parametrize("codec", PRESETS)
def test_patch_round_trip_is_exact_for_every_value(codec):
    cube = noise()
    cube.reshape(-1)[:65536] = np.arange(-32768, 32768, dtype=np.int16)
    decoded = decode_patch(encode_patch(cube, codec), codec)
    assert decoded.dtype == np.int16
    assert np.array_equal(decoded, cube)


@pytest.mark.slow
@pytest.mark.parametrize("codec", PRESETS)
@settings(max_examples=10, deadline=None)
@given(
    base=st.sampled_from([-32768, -1, 0, 5000, 32767]),
    spread=st.sampled_from([0, 1, 300, 65535]),
    holes=st.lists(st.tuples(st.integers(0, 201), st.integers(0, 127), st.integers(0, 127)), max_size=20),
    seed=st.integers(0, 99),
)
def test_every_patch_survives(codec, base, spread, holes, seed):
    """Constants, slopes, noise, values at the ends of int16, nodata here and there."""
    steps = np.random.default_rng(seed).integers(0, spread + 1, (202, 128, 128))
    cube = ((base + steps + 32768) % 65536 - 32768).astype(np.int16)
    cube[holes and tuple(np.transpose(holes))] = NODATA
    cube[seed] = NODATA
    assert np.array_equal(decode_patch(encode_patch(cube, codec), codec), cube)


@pytest.mark.parametrize("codec", PRESETS)
@pytest.mark.parametrize("kind", REAL)
def test_real_and_realistic_pixels_survive(codec, kind):
    cube = REAL[kind]()
    assert np.array_equal(decode_patch(encode_patch(cube, codec), codec), cube)


def zarr_array(store: MemoryStore, codec: str, shards: int | None = None) -> zarr.Array:
    """An array of patches, made by zarr-python out of the documents alone."""
    inner = documents(codec)
    codecs = inner
    if shards:
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        configuration = {"chunk_shape": [1, *PATCH_SHAPE], "codecs": inner, "index_location": "end"}
        configuration["index_codecs"] = [little, {"name": "crc32c"}]
        codecs = [{"name": "sharding_indexed", "configuration": configuration}]
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [2, *PATCH_SHAPE], "data_type": "int16", "attributes": {},
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shards or 1, *PATCH_SHAPE]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}, "fill_value": 0,
        "codecs": codecs, "storage_transformers": [],
    }  # fmt: skip
    store._store_dict["zarr.json"] = default_buffer_prototype().buffer.from_bytes(
        json.dumps(document).encode()
    )
    return zarr.open_array(store, mode="r+")


@pytest.mark.parametrize("codec", PRESETS)
@pytest.mark.parametrize("cube", [noise(1, -50, 4000), noise(2)], ids=["narrow", "wide"])
def test_zarr_writes_the_same_bytes_and_reads_ours(codec, cube):
    store = MemoryStore()
    array = zarr_array(store, codec)
    array[0] = cube
    ours = encode_patch(cube, codec)
    assert store._store_dict["c.0.0.0.0"].to_bytes() == ours
    store._store_dict["c.1.0.0.0"] = default_buffer_prototype().buffer.from_bytes(ours)
    assert np.array_equal(array[1], cube)


@pytest.mark.parametrize("codec", PRESETS)
def test_zarr_shards_hold_the_same_bytes(codec):
    store, cube = MemoryStore(), noise(3, 0, 900)
    zarr_array(store, codec, shards=2)[1] = cube
    shard = store._store_dict["c.0.0.0.0"].to_bytes()
    assert shard[:-36] == encode_patch(cube, codec)


def test_land_and_water_are_as_small_as_promised():
    ratios = {
        (kind, codec): PATCH_BYTES / len(encode_patch(REAL[kind](), codec))
        for kind in REAL
        for codec in PRESETS
    }
    for kind in REAL:
        least = 2.1 if "land" in kind else 2.2
        assert ratios[kind, "spectral"] > least
        assert ratios[kind, "fast"] > ratios[kind, "spectral"] * 0.8
        assert ratios[kind, "dense"] > 1.08 * ratios[kind, "spectral"]
    assert ratios["land, half the noise", "dense"] > 2.65
    assert min(ratios["pair, west", "dense"], ratios["pair, east", "dense"]) > 3.0


@pytest.mark.parametrize("codec", PRESETS)
@pytest.mark.parametrize("scratch", [None, np.empty(SCRATCH_WORDS, np.uint16)], ids=["own", "given"])
def test_decoding_fills_memory_of_the_callers(codec, scratch):
    cube, batch = noise(4, 0, 2000), np.full((3, *PATCH_SHAPE), 7, np.int16)
    data = encode_patch(cube, codec)
    for form in (data, memoryview(data), np.frombuffer(data, np.uint8).data):
        batch[1] = 7
        decode_into(form, batch[1], codec, scratch)
        assert np.array_equal(batch[1], cube)
    assert (batch[[0, 2]] == 7).all()


@pytest.mark.parametrize(
    "out",
    [
        np.empty(PATCH_SHAPE, np.int32),
        np.empty((202, 128, 127), np.int16),
        np.empty((202, 128, 256), np.int16)[..., ::2],
    ],
)
def test_other_memory_is_refused(out):
    with pytest.raises(ValueError, match="C-contiguous int16"):
        decode_into(encode_patch(noise(5, 0, 9), "fast"), out, "fast")


@pytest.mark.parametrize("codec", PRESETS)
def test_threads_do_not_disturb_each_other(codec):
    cubes = [noise(seed, 0, 3000) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        coded = list(threads.map(lambda cube: encode_patch(cube, codec), cubes))
        decoded = list(threads.map(lambda data: decode_patch(data, codec), coded * 3))
    assert coded == [encode_patch(cube, codec) for cube in cubes]
    assert all(np.array_equal(a, b) for a, b in zip(decoded, cubes * 3, strict=True))


def test_portable_needs_nothing_but_blosc():
    cube = noise(2, 0, 100)
    plain = numcodecs.Blosc().decode(encode_patch(cube, "portable")[:-4])
    assert plain == cube.tobytes()


def test_band_delta_helps_where_bands_are_alike():
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 4000, (128, 128)).astype(np.int16)
    cube = (texture + rng.integers(-20, 20, (202, 128, 128))).astype(np.int16)
    sizes = {codec: len(encode_patch(cube, codec)) for codec in PRESETS}
    assert sizes["spectral"] < 0.8 * sizes["portable"]


def test_checksum_is_crc32c():
    data = encode_patch(noise(4), "fast")
    assert int.from_bytes(data[-4:], "little") == google_crc32c.value(data[:-4])


@pytest.mark.parametrize("codec", PRESETS)
@pytest.mark.parametrize("position", [0, 100, -5, -1])
def test_any_flipped_bit_is_noticed(codec, position):
    data = bytearray(encode_patch(noise(5, 0, 9), codec))
    data[position] ^= 8
    with pytest.raises(DamagedError, match="crc32c"):
        decode_patch(bytes(data), codec)


@pytest.mark.parametrize("size", [0, 3, 4, 1000])
def test_truncated_data_is_noticed(size):
    with pytest.raises(DamagedError, match=f"{size} bytes"):
        decode_patch(encode_patch(noise(6, 0, 9), "spectral")[:size], "spectral")


def with_checksum(body: bytes) -> bytes:
    return body + google_crc32c.value(body).to_bytes(4, "little")


@pytest.mark.parametrize("values", [np.zeros(10, np.int16), np.zeros(202 * 128 * 128 + 1, np.int16)])
def test_sound_checksum_over_another_size_is_noticed(values):
    body = bytes(numcodecs.Blosc("zstd", 3, 2).encode(values))
    with pytest.raises(DamagedError, match="does not contain exactly one patch"):
        decode_patch(with_checksum(body), "spectral")


def test_sound_checksum_over_garbage_is_noticed():
    body = encode_patch(noise(8, 0, 9), "dense")[:-4]
    with pytest.raises(DamagedError, match="decompressed"):
        decode_patch(with_checksum(body[:16] + bytes(len(body) - 16)), "dense")


@pytest.mark.parametrize("bad", [np.zeros((202, 128, 127), np.int16), np.zeros((202, 128, 128), np.int32)])
def test_only_patches_are_encoded(bad):
    with pytest.raises(ValueError, match="A patch must be int16"):
        encode_patch(bad, "spectral")


def test_views_are_encoded_as_their_values():
    tile = np.random.default_rng(7).integers(0, 99, (202, 140, 150)).astype(np.int16)
    view = tile[:, 5:133, 9:137]
    assert encode_patch(view, "fast") == encode_patch(view.copy(), "fast")
