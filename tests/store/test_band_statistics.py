from __future__ import annotations

import json
import statistics as python_statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.store.statistics import BandStatistics, of_patch, total


def cube(seed: int, bands: int = 202, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, (bands, size, size)).astype(np.int16)


def test_of_patch_against_numpy_and_python():
    values = cube(0)
    found = of_patch(values)
    flat = values.reshape(202, -1).astype(np.int64)
    assert found.count == 64
    assert found.sum == tuple(flat.sum(axis=1).tolist())
    assert found.sum_squares == tuple((flat**2).sum(axis=1).tolist())
    assert found.min == tuple(flat.min(axis=1).tolist())
    assert found.max == tuple(flat.max(axis=1).tolist())
    assert found.mean[7] == python_statistics.fmean(flat[7].tolist())
    assert found.std[7] == pytest.approx(python_statistics.pstdev(flat[7].tolist()), rel=1e-14)


def test_extremes_do_not_overflow():
    found = of_patch(np.full((202, 128, 128), -32768, np.int16))
    assert found.sum_squares[0] == 2**30 * 2**14
    assert (found.mean[0], found.std[0]) == (-32768.0, 0.0)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(5)))
def test_order_of_parts_does_not_matter(order):
    parts = [of_patch(cube(seed)) for seed in range(5)]
    whole = of_patch(np.concatenate([cube(seed) for seed in range(5)], axis=1))
    assert total(parts[k] for k in order) == whole


def test_nothing_has_no_mean():
    assert total([]) == BandStatistics()
    assert total([]).mean[0] is None
    assert total([]).std[0] is None


def test_document_round_trip_through_json():
    found = of_patch(cube(3))
    assert BandStatistics.from_document(json.loads(json.dumps(found.document()))) == found
