from __future__ import annotations

import json

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from zarr.storage import MemoryStore

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.codec import (
    BAND_DELTA,
    PRESETS,
    BandDelta,
    accumulate,
    decode_patch,
    difference,
    documents,
    encode_patch,
)

CUBES = arrays(np.int16, st.tuples(*[st.integers(1, 5)] * 4))


def patch(seed: int = 0, low: int = -32768, high: int = 32768) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (202, 128, 128)).astype(np.int16)


@given(CUBES, st.integers(0, 3))
def test_difference_is_undone_exactly_along_every_axis(cube, axis):
    coded = difference(cube, axis)
    wide = np.diff(cube.astype(np.int64), axis=axis, prepend=0)  # the definition, without wrapping
    assert np.array_equal(coded.astype(np.int64) % 65536, wide % 65536)
    accumulate(coded, axis)
    assert np.array_equal(coded, cube)


@settings(max_examples=25, deadline=None)
@given(CUBES)
def test_zarr_round_trip_is_exact(cube):
    array = zarr.create_array(
        MemoryStore(), shape=cube.shape, dtype="int16", chunks=(1, *cube.shape[1:]), filters=[BandDelta()]
    )
    array[:] = cube
    assert np.array_equal(array[:], cube)


def test_metadata_names_the_codec_and_reads_back():
    store = MemoryStore()
    zarr.create_array(store, shape=(2, 3, 4, 4), dtype="int16", filters=[BandDelta(1)])
    document = json.loads(store._store_dict["zarr.json"].to_bytes())
    assert document["codecs"][0] == {"name": "spectralearth.band_delta", "configuration": {"axis": 1}}
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
    cube = patch()
    cube.reshape(-1)[:65536] = np.arange(-32768, 32768, dtype=np.int16)
    decoded = decode_patch(encode_patch(cube, codec), codec)
    assert decoded.dtype == np.int16
    assert np.array_equal(decoded, cube)


@pytest.mark.parametrize("codec", PRESETS)
def test_bytes_are_those_of_zarr(codec):
    cube = patch(1, -50, 4000)
    store = MemoryStore()
    filters = [BandDelta(1)] if PRESETS[codec].delta else []
    blosc = next(d["configuration"] for d in documents(codec) if d["name"] == "blosc")
    array = zarr.create_array(
        store,
        shape=(1, *cube.shape),
        chunks=(1, *cube.shape),
        dtype="int16",
        filters=filters,
        compressors=[zarr.codecs.BloscCodec(**blosc), zarr.codecs.Crc32cCodec()],
    )
    array[0] = cube
    assert encode_patch(cube, codec) == store._store_dict["c/0/0/0/0"].to_bytes()


def test_portable_needs_nothing_but_blosc():
    cube = patch(2, 0, 100)
    plain = numcodecs.Blosc().decode(encode_patch(cube, "portable")[:-4])
    assert plain == cube.tobytes()


def test_band_delta_helps_where_bands_are_alike():
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 4000, (128, 128)).astype(np.int16)
    cube = (texture + rng.integers(-20, 20, (202, 128, 128))).astype(np.int16)
    sizes = {codec: len(encode_patch(cube, codec)) for codec in PRESETS}
    assert sizes["spectral"] < 0.8 * sizes["portable"]


def test_checksum_is_crc32c():
    data = encode_patch(patch(4), "fast")
    assert int.from_bytes(data[-4:], "little") == google_crc32c.value(data[:-4])


@pytest.mark.parametrize("position", [0, 100, -5, -1])
def test_any_flipped_bit_is_noticed(position):
    data = bytearray(encode_patch(patch(5, 0, 9), "spectral"))
    data[position] ^= 8
    with pytest.raises(DamagedError, match="crc32c"):
        decode_patch(bytes(data), "spectral")


@pytest.mark.parametrize("size", [0, 3, 4, 1000])
def test_truncated_data_is_noticed(size):
    with pytest.raises(DamagedError, match=f"{size} bytes"):
        decode_patch(encode_patch(patch(6, 0, 9), "spectral")[:size], "spectral")


def with_checksum(body: bytes) -> bytes:
    return body + google_crc32c.value(body).to_bytes(4, "little")


@pytest.mark.parametrize("values", [np.zeros(10, np.int16), np.zeros(202 * 128 * 128 + 1, np.int16)])
def test_sound_checksum_over_another_size_is_noticed(values):
    body = bytes(numcodecs.Blosc("zstd", 3, 2).encode(values))
    with pytest.raises(DamagedError, match="does not hold one patch"):
        decode_patch(with_checksum(body), "spectral")


def test_sound_checksum_over_garbage_is_noticed():
    body = encode_patch(patch(8, 0, 9), "spectral")[:-4]
    with pytest.raises(DamagedError, match="decompressed"):
        decode_patch(with_checksum(body[:16] + bytes(len(body) - 16)), "spectral")


@pytest.mark.parametrize("bad", [np.zeros((202, 128, 127), np.int16), np.zeros((202, 128, 128), np.int32)])
def test_only_patches_are_encoded(bad):
    with pytest.raises(ValueError, match="A patch is int16"):
        encode_patch(bad, "spectral")


def test_views_are_encoded_as_their_values():
    tile = np.random.default_rng(7).integers(0, 99, (202, 140, 150)).astype(np.int16)
    view = tile[:, 5:133, 9:137]
    assert encode_patch(view, "fast") == encode_patch(view.copy(), "fast")
