"""Summaries against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from spectralearth_build.labels.class_counts import counts, labelled_fraction, majority, multi_hot
from spectralearth_build.labels.classes import IGNORE

CLASSES = 5
MAPS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.sampled_from([0, 1, 2, 3, 4, IGNORE]),
)


@given(MAPS, st.floats(0, 1))
def test_summaries_are_those_of_counting_by_hand(maps, least):
    found = {
        "counts": counts(maps, CLASSES),
        "fraction": np.asarray(labelled_fraction(maps)),
        "hot": multi_hot(maps, CLASSES, least),
        "majority": np.asarray(majority(maps, CLASSES)),
    }
    for place in np.ndindex(maps.shape[:-2]):
        pixels = maps[place].ravel().tolist()
        number = [pixels.count(label) for label in range(CLASSES)]
        assert found["counts"][place].tolist() == number
        assert found["fraction"][place] == pytest.approx(sum(number) / len(pixels))
        assert found["hot"][place].tolist() == [n > 0 and n / sum(number) >= least for n in number]
        best = number.index(max(number)) if sum(number) else -1
        assert found["majority"][place] == best


def test_one_map_gives_numbers():
    labels = np.array([[0, 2], [2, IGNORE]], np.uint8)
    assert labelled_fraction(labels) == 0.75
    assert majority(labels, 3) == 2
    assert int(majority(np.full((2, 2), IGNORE, np.uint8), 3)) == -1
    assert multi_hot(labels, 3, 0.5).tolist() == [False, False, True]


def test_a_class_exactly_at_the_threshold_is_present():
    labels = np.full((10, 10), 1, np.uint8)
    labels.ravel()[:7] = 0
    assert multi_hot(labels, 2, 0.07).tolist() == [True, True]
    labels.ravel()[0] = 1
    assert multi_hot(labels, 2, 0.07).tolist() == [False, True]


def test_all_255_classes_fit():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (counts(labels, 255) == 1).all()
    assert labelled_fraction(labels) == 255 / 256


def test_indices_beyond_the_classes_are_refused():
    with pytest.raises(ValueError, match="beyond its 3 classes"):
        counts(np.array([[3]], np.uint8), 3)
