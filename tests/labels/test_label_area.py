"""Exact areas against shapely's."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from spectralearth_build.labels.area_weights import majority, mean

NONE = -1


def shapely_areas(shape, lines, cols):
    """What a quadrilateral covers of each cell of a grid."""
    corners = np.stack([lines.ravel()[[0, 1, 3, 2]], cols.ravel()[[0, 1, 3, 2]]], axis=1)
    line, col = np.indices(shape)
    return shapely.area(
        shapely.intersection(shapely.polygons(corners), shapely.box(line, col, line + 1, col + 1))
    )


@st.composite
def quads(draw):
    """Corners [2, 2] of a turned, sheared, perhaps mirrored square, some on the grid's own lines."""
    turn = draw(st.sampled_from([0.0, np.pi / 2, np.pi / 4, 1e-9]) | st.floats(0, 2 * np.pi))
    size, squeeze = draw(st.floats(0.05, 4)), draw(st.floats(0.2, 1) | st.floats(-1, -0.2))
    place = draw(st.tuples(st.floats(-1, 9) | st.integers(0, 8), st.floats(-1, 9) | st.integers(0, 8)))
    i, j = np.mgrid[:2, :2] * size
    lines = place[0] + np.cos(turn) * i - np.sin(turn) * j * squeeze
    cols = place[1] + np.sin(turn) * i + np.cos(turn) * j * squeeze
    return lines, cols


TINY = np.nextafter(0, 1) * 2**50


@pytest.mark.slow
@example((np.array([[TINY, 0.0], [2.0, 2.0]]), np.array([[0.0, 1.0], [TINY, 1.0]])))
@given(quads())
def test_mean_weighs_by_area(quad):
    values = np.random.default_rng(0).uniform(0, 1, (10, 11))
    areas = shapely_areas(values.shape, *quad)
    corners = np.stack([axis.ravel()[[0, 1, 3, 2]] for axis in quad], axis=1)
    whole = shapely.area(shapely.polygons(corners))
    ((found,),) = mean(values, *quad, 12)
    if areas.sum() > 0.5001 * whole:
        assert found == pytest.approx((areas * values).sum() / areas.sum(), abs=1e-7)
    elif areas.sum() < 0.4999 * whole:
        assert np.isnan(found)


@pytest.mark.slow
@given(quads())
def test_majority_has_the_largest_area(quad):
    codes = np.random.default_rng(1).integers(0, 4, (10, 11))
    areas = shapely_areas(codes.shape, *quad)
    votes = np.bincount(codes.ravel(), areas.ravel(), minlength=4)
    ((found,),) = majority(codes, *quad, NONE, 12)
    if found != NONE:
        assert votes[found] > votes.max() - 1e-7
        assert all(votes[found] > votes[smaller] - 1e-7 for smaller in range(found))
    else:
        whole = shapely.area(shapely.polygons(np.stack([a.ravel()[[0, 1, 3, 2]] for a in quad], axis=1)))
        assert votes.sum() < 0.5001 * whole


def regular(count, step):
    """Corners of count x count squares of a regular grid."""
    return np.meshgrid(np.arange(count + 1) * step, np.arange(count + 1) * step, indexing="ij")


def test_the_smaller_of_two_codes_that_tie_wins():
    codes = np.array([[7, 3], [3, 7]])
    assert majority(codes, *regular(1, 2.0), NONE, 4)[0, 0] == 3
    assert majority(codes[::-1].copy(), *regular(1, 2.0), NONE, 4)[0, 0] == 3
    # Also where rounding puts the other one ahead.
    assert majority(np.array([[9, 9, 9], [2, 2, 2]]), *regular(1, 2 - 1e-13), NONE, 4)[0, 0] == 2


def test_half_of_the_area_is_enough_and_less_is_not():
    grid = np.array([[NONE, 5], [5, NONE]])
    assert majority(grid, *regular(1, 2.0), NONE, 4)[0, 0] == 5
    assert np.isnan(mean(np.array([[np.nan, 5], [np.nan, np.nan]]), *regular(1, 2.0), 4)[0, 0])
    assert mean(np.array([[np.nan, 5], [5, np.nan]]), *regular(1, 2.0), 4)[0, 0] == 5
    grid[0, 1] = NONE
    assert majority(grid, *regular(1, 2.0), NONE, 4)[0, 0] == NONE


def test_what_was_covered_before_leaves_nothing_behind():
    """Quadrilaterals in turn, of different sizes, after each other in one call and alone."""
    random = np.random.default_rng(3)
    codes, values = random.integers(0, 5, (40, 40)), random.uniform(0, 1, (40, 40))
    lines, cols = (axis + random.uniform(-0.9, 0.9, axis.shape) for axis in regular(12, 3.0))
    together = majority(codes, lines, cols, NONE, 8), mean(values, lines, cols, 8)
    for i, j in np.ndindex(12, 12):
        corners = lines[i : i + 2, j : j + 2].copy(), cols[i : i + 2, j : j + 2].copy()
        assert majority(codes, *corners, NONE, 8)[0, 0] == together[0][i, j]
        np.testing.assert_equal(mean(values, *corners, 8)[0, 0], together[1][i, j])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e300])
def test_what_is_torn_or_not_finite_has_no_data(wrong):
    codes = np.ones((6, 6), np.int64)
    lines, cols = regular(3, 2.0)
    lines[0, 0] = wrong
    found = majority(codes, lines, cols, NONE, 4)
    assert found[0, 0] == NONE
    assert (found.ravel()[1:] == 1).all()
    assert np.isnan(mean(np.ones((6, 6)), lines, cols, 4)[0, 0])
    cols[3, 3] = 9.1  # 5.1 columns wide
    assert majority(codes, lines, cols, NONE, 5)[2, 2] == NONE
