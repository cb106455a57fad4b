import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.split import near
from tests.support.split_archives import MIDDLES, plane, window_at, window_on


def frame(windows):
    return pd.DataFrame(windows, columns=["epsg", "lattice_col", "lattice_row"])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(MIDDLES)),
    st.lists(st.tuples(*2 * [st.integers(-40_000, 40_000)]), min_size=1, max_size=12),
    st.sampled_from([0.0, 1_000.0, 5_000.0, 5_430.0, 30_000.0]),
)
def test_pairs_are_those_of_proj_and_shapely(name, points, distance_m):
    middle = MIDDLES[name]
    windows = sorted({window_at(middle, *point) for point in points})
    shapes = [window_on(plane(middle), "_".join(map(str, window))) for window in windows]
    found = {tuple(pair) for pair in near.near(near.corners(frame(windows)), distance_m).tolist()}
    for j, b in enumerate(shapes):
        for i, a in enumerate(shapes[:j]):
            gap = a.distance(b)
            if gap <= distance_m:
                assert (i, j) in found
            if gap > distance_m + 2 * near.SLACK_M:
                assert (i, j) not in found


def test_points_in_space_are_those_of_proj():
    degrees = np.array([[[0.0, 0.0], [180.0, 80.0]], [[-70.5, -33.2], [13.0, 52.5]]])
    proj = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    expected = np.stack(proj.transform(degrees[..., 0], degrees[..., 1], np.zeros((2, 2))), axis=-1)
    np.testing.assert_allclose(near.in_space(degrees), expected, atol=1e-3)


@pytest.mark.parametrize("lat", [0, 45, 70, 83])
def test_circles_lie_inside_and_around_every_window(lat):
    for lon in (9.0, 6.001, 11.99):  # the middle and the edges of zone 32
        window = window_at((lon, lat), 0, 0)
        flat = plane((lon, lat))
        shape = window_on(flat, "_".join(map(str, window)))
        ring = shapely.get_coordinates(shape) - shapely.get_coordinates(shape.centroid)
        radius = np.linalg.norm(ring, axis=1)
        assert radius.min() > near.INNER_M
        assert radius.max() < near.OUTER_M


def test_nothing_is_near_nothing():
    assert near.near(np.empty((0, 4, 2)), 5000).shape == (0, 2)
