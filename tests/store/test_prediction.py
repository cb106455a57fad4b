from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from zarr.storage import MemoryStore

from spectralearth_build.store.codec.band_prediction import (
    BAND_PREDICTION,
    BandPrediction,
    head_words,
    pack,
    unpack,
    words_needed,
)
from spectralearth_build.store.codec.prediction import predict, restore
from tests.support.store_pixels import land, pair

CUBES = st.integers(1, 11).flatmap(
    lambda b: arrays(np.int16, st.tuples(st.just(b), st.integers(1, 6), st.just(128)))
)


def short(value):
    """A number modulo 2^16, signed."""
    return (value + 32768) % 65536 - 32768


def by_the_definition(coefficients: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """The formula of the module's docstring in Python's own integers, which never overflow."""

    def times(c, v):
        return (c * short(2 * v)) >> 16

    bands, lines, _ = residual.shape
    values = np.zeros((bands, lines, 128), object)
    r = residual.astype(object)
    step = np.where(r % 2 == 0, r // 2, -(r // 2) - 1)
    for b in range(bands):
        *weights, north, offset = (int(c) for c in coefficients[b])
        error = np.zeros(128, object)
        for y in range(lines):
            error = short(step[b, y] + times(north, error))
            total = error + offset + (values[b - 1, y] if b else 0)
            for k, weight in enumerate(weights[:b]):
                total = total + times(weight, values[b - 1 - k, y])
            values[b, y] = short(total)
    return values.astype(np.int16)


def predicted(cube: np.ndarray, bands: int) -> tuple[np.ndarray, np.ndarray]:
    coefficients = np.zeros((len(cube), bands + 2), np.int16)
    residual = np.zeros(cube.shape, np.uint16)
    predict(cube, coefficients, residual)
    return coefficients, residual


@settings(max_examples=40, deadline=None)
@given(CUBES, st.sampled_from([4, 8, 12]))
def test_any_values_come_back(cube, bands):
    coefficients, residual = predicted(cube, bands)
    out = np.full_like(cube, 99)
    restore(coefficients, residual, out)
    assert np.array_equal(out, cube)


@settings(max_examples=25, deadline=None)
@given(CUBES, st.sampled_from([4, 8, 12]), st.integers(0, 2**32 - 1))
def test_restoring_is_what_the_docstring_says_for_any_coefficients(residual, bands, seed):
    """Also for those that no encoder chooses: weights of bands that are not there must be zero, that is all."""
    residual = residual.view(np.uint16)
    coefficients = (
        np.random.default_rng(seed).integers(-32768, 32768, (len(residual), bands + 2)).astype(np.int16)
    )
    for b in range(min(bands, len(residual))):
        coefficients[b, b:bands] = 0
    out = np.empty(residual.shape, np.int16)
    restore(coefficients, residual, out)
    assert np.array_equal(out, by_the_definition(coefficients, residual))


@pytest.mark.parametrize("bands", [4, 24])
def test_real_pixels_follow_the_definition(bands):
    cube = np.ascontiguousarray(pair()[0][:40, :12])
    coefficients, residual = predicted(cube, bands)
    assert np.array_equal(by_the_definition(coefficients, residual), cube)


@pytest.mark.parametrize("cube", [land(), pair()[0]], ids=["land", "water"])
def test_weights_are_those_of_least_squares(cube):
    """The solver of numpy on all pixels leaves hardly smaller errors than ours on a part of them, in 16 bits."""
    coefficients, _ = predicted(cube, 4)
    flat = cube.reshape(202, -1).astype(float)
    for b in (10, 60, 120, 199):
        columns = np.stack([*flat[b - 4 : b][::-1], np.ones(flat.shape[1])])
        best = flat[b] - np.linalg.lstsq(columns.T, flat[b], rcond=None)[0] @ columns
        weights = coefficients[b, :4] / 32768 + [1, 0, 0, 0]
        ours = flat[b] - weights @ columns[:4]
        assert ours.std() < 1.01 * best.std() + 0.1


def test_stripes_are_predicted_from_the_line_before():
    rng = np.random.default_rng(0)
    stripes = rng.normal(0, 200, (12, 1, 128)).astype(np.int16)
    cube = (stripes + rng.integers(-3, 4, (12, 64, 128))).astype(np.int16)
    coefficients, residual = predicted(cube, 4)
    assert (coefficients[:, 4] > 0.9 * 32768).all()
    assert np.median(residual[:, 1:]) < 20


def test_the_same_pixels_give_the_same_bytes_whatever_was_there_before():
    cube = np.ascontiguousarray(pair()[0][:7, :5])
    packed = []
    for dirt in (0, 65535):
        words = np.full(words_needed(cube.shape, 4), dirt, np.uint16)
        pack(cube, 4, words)
        packed.append(words)
    assert np.array_equal(*packed)
    assert head_words(7, 4) == 48
    assert not packed[0][42:48].any()
    out = np.empty_like(cube)
    unpack(packed[0], 4, out)
    assert np.array_equal(out, cube)


@settings(max_examples=15, deadline=None)
@given(CUBES, st.sampled_from([4, 8]))
def test_zarr_round_trip_is_exact(cube, bands):
    array = zarr.create_array(
        MemoryStore(),
        shape=(1, *cube.shape),
        dtype="int16",
        chunks=(1, *cube.shape),
        serializer=BandPrediction(bands),
    )
    array[0] = cube
    assert np.array_equal(array[0], cube)


def test_metadata_names_the_codec_and_reads_back():
    store = MemoryStore()
    zarr.create_array(store, shape=(1, 3, 4, 128), dtype="int16", serializer=BandPrediction(8))
    document = json.loads(store._store_dict["zarr.json"].to_bytes())
    assert document["codecs"][0] == {"name": BAND_PREDICTION, "configuration": {"bands": 8}}
    assert zarr.open_array(store, mode="r").serializer == BandPrediction(8)


@pytest.mark.parametrize(
    "document",
    [
        {"name": "bytes"},
        {"name": BAND_PREDICTION},
        {"name": BAND_PREDICTION, "configuration": {"bands": 6}},
        {"name": BAND_PREDICTION, "configuration": {"bands": 0}},
        {"name": BAND_PREDICTION, "configuration": {"bands": "4"}},
        {"name": BAND_PREDICTION, "configuration": {"bands": 4, "lines": 1}},
    ],
)
def test_foreign_metadata_is_refused(document):
    with pytest.raises(ValueError, match="band_prediction"):
        BandPrediction.from_dict(document)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 128), "int16"), ((4, 4, 128), "int32"), ((4, 4, 128), "uint16")]
)
def test_arrays_it_cannot_code_are_refused(shape, dtype):
    with pytest.raises(ValueError, match=r"encodes int16 \[band, line, 128\]"):
        zarr.create_array(MemoryStore(), shape=shape, dtype=dtype, serializer=BandPrediction())


@pytest.mark.parametrize("shape", [(2, 3, 4, 128), (1, 3, 4, 64)])
def test_chunks_it_cannot_code_are_refused(shape):
    array = zarr.create_array(
        MemoryStore(), shape=shape, chunks=shape, dtype="int16", serializer=BandPrediction()
    )
    with pytest.raises(ValueError, match=r"encodes chunks \[1, band, line, 128\]"):
        array[:] = 1
