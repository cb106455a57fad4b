"""Footprints, against shapely, closed forms and recorded catalogue items."""

from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from spectralearth_build.overlap.lattice import ORIGIN, PIXEL
from spectralearth_build.synthetic.geometry import (
    FULL_SIZE,
    OVERLAP,
    Pass,
    footprints_of,
    heading,
    sun,
    swath_factor,
    utm_epsg,
)

NOON = datetime(2024, 7, 1, tzinfo=UTC)
STRIPS = st.builds(
    Pass,
    st.just("DT0000000001"),
    st.just(NOON),
    st.floats(-179, 179),
    st.floats(-75, 75),
    st.integers(1, 4),
    st.floats(-26, 26),
)


@given(STRIPS, st.sampled_from([140, 300, 420]))
@settings(max_examples=40)
def test_box_and_pixels_are_those_of_the_rectangle(strip, size):
    for footprint in footprints_of(strip, size)[:2]:
        polygon, box, inside = shapely.Polygon(footprint.corners_xy()), footprint.box(), footprint.inside()
        assert np.abs(np.array(polygon.bounds) - box.bounds).max() < PIXEL
        x = ORIGIN + PIXEL * (box.col + np.arange(box.width) + 0.5)
        y = ORIGIN - PIXEL * (box.line + np.arange(box.height) + 0.5)
        np.testing.assert_array_equal(inside, shapely.contains_xy(polygon, *np.meshgrid(x, y)))


@given(STRIPS)
@settings(max_examples=20)
def test_consecutive_tiles_share_their_overlap_and_nothing_else(strip):
    shapes = footprints_of(strip, 300)
    polygons = [shapely.Polygon(shape.corners_xy()) for shape in shapes]
    for first, second, shape in zip(polygons, polygons[1:], shapes, strict=False):
        assert first.intersection(second).area == pytest.approx(OVERLAP * shape.width * PIXEL**2, rel=1e-6)
        assert first.centroid.y > second.centroid.y  # from north to south
    if len(polygons) > 2:
        assert polygons[0].disjoint(polygons[2])


@given(STRIPS)
@settings(max_examples=20)
def test_a_small_tile_is_rotated_and_holds_two_by_two_windows(strip):
    (first, *_) = footprints_of(strip, 300)
    assert 2 < first.heading < 5
    assert sliding_window_view(first.inside(), (256, 256)).all(axis=(2, 3)).any()


def test_a_full_tile_is_as_large_as_real_ones():
    for off_nadir, width in ((0, 30), (26, 39)):
        (tile,) = footprints_of(Pass("DT0", NOON, 14.77, 45.5, 1, off_nadir), FULL_SIZE)
        assert tile.width * PIXEL / 1000 == pytest.approx(width, abs=1)
        assert 1000 < tile.lines < 1050
        assert 0.62 < tile.inside().mean() < 0.72
        assert 1162 <= tile.box().height <= 1379


def test_corners_in_degrees_cross_the_antimeridian():
    (tile,) = footprints_of(Pass("DT0", NOON, 180.0, 66.0, 1, 0, 32601), 300)
    lons = [lon for lon, _ in tile.corners()]
    assert lons[0] > 179
    assert lons[2] < -179


@pytest.mark.parametrize(
    ("lat", "azimuth", "tolerance"),
    [
        (56.87, 16.63, 0.5),
        (45.24, 14.01, 0.5),
        (72.27, 28.10, 0.5),
        (-21.95, 12.14, 0.5),
        (-25.06, 12.28, 0.5),
    ],
)
def test_heading_of_recorded_items(lat, azimuth, tolerance):
    assert heading(lat) == pytest.approx(azimuth, abs=tolerance)


def test_swath_of_recorded_items():
    assert swath_factor(0) == 1
    assert swath_factor(26.177) == pytest.approx(1294.6 / 1001.3, abs=0.01)
    assert swath_factor(-7.805) == swath_factor(7.805) == pytest.approx(1021.1 / 1001.3, abs=0.01)


@pytest.mark.parametrize(
    ("lon", "lat", "moment", "elevation", "azimuth"),
    [
        (14.77, 56.87, datetime(2025, 7, 8, 10, 44, 7, tzinfo=UTC), 55.31, 171.08),
        (85.1, 45.24, datetime(2025, 7, 8, 5, 54, 13, tzinfo=UTC), 66.36, 162.22),
        (104.7, 72.27, datetime(2025, 7, 8, 5, 46, 32, tzinfo=UTC), 39.84, 192.19),
        (116.97, -21.95, datetime(2025, 7, 8, 2, 57, 14, tzinfo=UTC), 41.51, 24.96),
        (32.77, -25.06, datetime(2024, 6, 30, 8, 20, 45, tzinfo=UTC), 36.91, 26.67),
    ],
)
def test_sun_of_recorded_items(lon, lat, moment, elevation, azimuth):
    got = sun(lon, lat, moment)
    assert got[0] == pytest.approx(elevation, abs=1)
    assert got[1] == pytest.approx(azimuth, abs=3)


def test_zones():
    assert utm_epsg(14.77, 56.9) == 32633
    assert utm_epsg(116.97, -21.9) == 32750
    assert utm_epsg(12.0, 46.4) == 32633
    assert utm_epsg(11.999, 46.4) == 32632
    assert utm_epsg(180.0, 66.0) == utm_epsg(-180.0, 66.0) == 32601
    assert utm_epsg(179.99, -17.0) == 32760
