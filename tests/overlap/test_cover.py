"""Depth and n-tuples against counting at every pixel."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.coverage import cover, faces
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region

BOX = Box(0, 0, 8, 10)
MASKS = st.lists(hnp.arrays(np.bool_, (8, 10)), min_size=1, max_size=5)


def covered(masks):
    return cover([Region.from_mask(m, BOX) for m in masks], [f"DT{i}" for i in range(len(masks))])


@given(MASKS)
def test_depth_is_the_number_of_masks_at_every_pixel(masks):
    found = covered(masks)
    depth = np.zeros((8, 10), int)
    for (line, start, stop), d in zip(found.segments, found.depth, strict=True):
        depth[line, start:stop] += d
    assert np.array_equal(depth, np.sum(masks, axis=0))


@pytest.mark.slow
@given(MASKS)
def test_faces_are_the_distinct_sets_with_their_areas(masks):
    stack = np.stack(masks)
    expected = Counter(
        tuple(np.flatnonzero(stack[:, i, j]).tolist())
        for i in range(8) for j in range(10) if stack[:, i, j].any()
    )  # fmt: skip
    found = faces(covered(masks))
    assert {face.members: face.area for face in found} == expected
    for face in found:
        here = Region(face.runs).to_mask(BOX)
        assert (stack[:, here].all(axis=1) == [i in face.members for i in range(len(masks))]).all()


@given(MASKS, hnp.arrays(np.bool_, (8, 10)))
def test_without_takes_away_exactly_the_blocked(masks, blocked):
    left = covered(masks).without(Region.from_mask(blocked, BOX))
    assert np.array_equal(left.region().to_mask(BOX), np.any(masks, axis=0) & ~blocked)


def test_the_order_of_the_regions_changes_nothing():
    a, b = Region.from_box(Box(0, 0, 2, 6)), Region.from_box(Box(1, 3, 2, 6))
    one, other = cover([a, b], ["x", "y"]), cover([b, a], ["y", "x"])
    assert np.array_equal(one.segments, other.segments)
    assert np.array_equal(one.key, other.key)
