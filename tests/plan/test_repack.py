"""Local improvement on small planes: never worse, never overlapping, and exact where there is one line only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.coverage import cover
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region
from spectralearth_build.plan.repack import planes_of, repacked
from tests.support.placements import overlapping

LINE, COL = -4, 6
WORTH = np.array([0, 1, 3, 4, 9])


def planes_and_depth(depth):
    box = Box(LINE, COL, *depth.shape)
    levels = [Region.from_mask(depth >= k, box) for k in range(1, int(depth.max()) + 1)]
    covered = cover(levels, [str(k) for k in range(len(levels))])
    return planes_of(covered.segments, covered.depth.astype(np.int64))


def value(depth, anchors):
    return int(WORTH[depth[anchors[:, 0] - LINE, anchors[:, 1] - COL]].sum())


@st.composite
def placements(draw, shape=(9, 10)):
    """A plane of depths, and windows on it in some order, each where nothing lies yet."""
    depth = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4)).filter(np.any))
    size = draw(st.integers(2, 3))
    found = []
    for line, col in draw(st.permutations([tuple(at) for at in np.argwhere(depth > 0).tolist()]))[:12]:
        if all(abs(line - a) >= size or abs(col - b) >= size for a, b in found):
            found.append((line, col))
    return depth, size, np.array(found, np.int32) + np.array([LINE, COL], np.int32)


@given(placements(), st.integers(1, 9))
def test_the_value_never_falls_and_windows_never_overlap(case, sweeps):
    depth, size, anchors = case
    moved = repacked(planes_and_depth(depth), WORTH, anchors, size, sweeps)
    assert value(depth, moved) >= value(depth, anchors)
    assert overlapping([tuple(a) for a in moved.tolist()], size) == []
    assert (depth[moved[:, 0] - LINE, moved[:, 1] - COL] > 0).all()


def best_row(values, size):
    best = [0]
    for x, worth in enumerate(values):
        best.append(max(best[-1], best[max(0, x + 1 - size)] + worth))
    return best[-1]


@pytest.mark.slow
@given(placements(shape=(1, 14)))
def test_one_line_is_solved_exactly_by_one_sweep(case):
    depth, size, anchors = case
    moved = repacked(planes_and_depth(depth)[:1], WORTH, anchors, size, 1)
    assert value(depth, moved) == best_row(WORTH[depth[0]].tolist(), size)


def test_windows_make_room_for_one_more():
    depth = np.ones((5, 5), np.int64)
    apart = np.array([[1, 1], [4, 4]], np.int32) + np.array([LINE, COL], np.int32)
    moved = repacked(planes_and_depth(depth), WORTH, apart, 3, 4)
    assert len(moved) == 4  # as many as fit: 2 x 2 of 3 pixels on anchors 5 x 5


@given(placements())
def test_every_view_shows_the_same_plane(case):
    depth, _, _ = case
    for plane in planes_and_depth(depth):
        shown = {
            tuple(anchor): level
            for (line, start, stop), level in zip(plane.rows.tolist(), plane.row_depth.tolist(), strict=True)
            for anchor in plane.seen(np.array([[line, col] for col in range(start, stop)])).tolist()
        }
        down = {
            tuple(anchor): level
            for (col, start, stop), level in zip(
                plane.columns.tolist(), plane.column_depth.tolist(), strict=True
            )
            for anchor in plane.seen(np.array([[line, col] for line in range(start, stop)])).tolist()
        }
        expected = {(i + LINE, j + COL): depth[i, j] for i, j in np.argwhere(depth > 0).tolist()}
        assert shown == down == expected


@pytest.mark.parametrize("sweeps", [0, 1, 8])
def test_the_same_windows_give_the_same_result(sweeps):
    depth = np.add.outer(np.arange(9), np.arange(9)) % 4 + 1
    start = np.array([[LINE, COL], [LINE + 4, COL + 4]], np.int32)
    results = [repacked(planes_and_depth(depth), WORTH, start, 2, sweeps) for _ in range(2)]
    np.testing.assert_array_equal(*results)
