"""Interpolated places against the projection of every point."""

from dataclasses import dataclass

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from spectralearth_build.labels.locate import cells, centres, corners, places
from tests.support.label_rasters import Patch, pixels

NAMES = ("EPSG:3035", "EPSG:5070", "EPSG:4326", "EPSG:32733", "EPSG:3857")
SYSTEMS = {name: CRS.from_user_input(name) for name in NAMES}


@dataclass
class Grid:
    """Where a raster lies, and no raster."""

    crs: CRS
    transform: Affine
    shape: tuple[int, int]


def around(patch, system, pixel=0.001, size=4000):
    """A grid of fine pixels around the patch's middle."""
    x, y = (axis[64, 64] for axis in patch.projected(system))
    step = pixel if system.is_geographic else pixel * 1e5
    return Grid(system, Affine(step, 0, x - step * size / 2, 0, -step, y + step * size / 2), (size, size))


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.sampled_from(sorted(SYSTEMS)),
    st.integers(1, 60),
    st.booleans(),
    st.integers(160_000, 834_000),
    st.integers(20_000, 9_300_000),
)
@example("EPSG:4326", 33, False, 500_000, 9_320_000)
@example("EPSG:3035", 60, True, 430_000, 4_300_000)
@example("EPSG:3035", 1, True, 500_000, 5_761_000)  # near the point that this projection does not have
def test_places_are_those_of_the_projection_to_a_thousandth_of_a_pixel(name, zone, south, x, y):
    patch = Patch(
        (32700 if south else 32600) + zone, x // 30 * 30 + 15, (1e7 - y if south else y) // 30 * 30 + 15
    )
    grid = around(patch, SYSTEMS[name], 0.0001)
    assume(np.isfinite([grid.transform.c, grid.transform.f]).all())  # UTM ends a quarter of the Earth away
    truth = pixels(grid.transform, *patch.projected(grid.crs))
    turn = 360 / grid.transform.a if grid.crs.is_geographic else 1e300
    (found, *more) = list(places(grid, *patch.place, centres()))
    assert not more
    np.testing.assert_allclose(found[0], truth[0], atol=1e-3)
    off = (
        (found[1] - truth[1] + turn / 2) % turn - turn / 2 if grid.crs.is_geographic else found[1] - truth[1]
    )
    np.testing.assert_allclose(off, 0, atol=1e-3)


def test_smooth_projections_are_interpolated_far_better_than_needed():
    for name in ("EPSG:3035", "EPSG:5070", "EPSG:4326", "EPSG:32733"):
        patch = Patch(32633, 400_005.0, 6_000_015.0)
        grid = around(patch, SYSTEMS[name], 0.0001)
        truth = pixels(grid.transform, *patch.projected(grid.crs))
        (found,) = places(grid, *patch.place, centres())
        assert max(np.abs(a - b).max() for a, b in zip(found, truth, strict=True)) < 1e-7


def test_corners_lie_around_centres():
    patch = Patch()
    grid = around(patch, SYSTEMS["EPSG:3035"])
    ((lines, cols),), ((line, col),) = (
        places(grid, *patch.place, corners()),
        places(grid, *patch.place, centres()),
    )
    assert lines.shape == (129, 129)
    for edge, middle in ((lines, line), (cols, col)):
        mean = (edge[1:, 1:] + edge[1:, :-1] + edge[:-1, 1:] + edge[:-1, :-1]) / 4
        np.testing.assert_allclose(mean, middle, atol=1e-6)


def test_a_global_raster_is_entered_from_both_ends():
    patch = Patch(32601, 298_005.0, 7_400_025.0)
    grid = Grid(SYSTEMS["EPSG:4326"], Affine(0.01, 0, -180, 0, -0.01, 90), (18_000, 36_000))
    x, _ = patch.projected(4326)
    assert (x.min() < 0) == (x.max() < 0)
    assert len(list(places(grid, *patch.place, centres()))) == 1
    astride = Patch(32601, 366_015.0, 7_400_025.0)
    x, y = astride.projected(4326)
    assert x.min() < -179.9
    assert x.max() > 179.9
    ends = list(places(grid, *astride.place, centres()))
    assert len(ends) == 2
    inside = [(cols >= 0) & (cols < 36_000) for _, cols in ends]
    assert (inside[0] ^ inside[1]).all()
    for (lines, cols), there in zip(ends, inside, strict=True):
        np.testing.assert_allclose(cols[there], (x[there] + 180) / 0.01, atol=1e-3)
        np.testing.assert_allclose(lines, (90 - y) / 0.01, atol=1e-3)


def test_places_that_a_projection_does_not_have_are_not_finite():
    """Beyond the horizon of an orthographic view."""
    lon, _ = Patch().projected(4326)
    system = CRS.from_user_input(f"+proj=ortho +lat_0=0 +lon_0={lon[64, 64] - 90} +datum=WGS84")
    patch = Patch()
    grid = Grid(system, Affine(1000, 0, -7e6, 0, -1000, 7e6), (14_000, 14_000))
    (lines, cols), = places(grid, *patch.place, centres())  # fmt: skip
    x, _ = patch.projected(system)
    np.testing.assert_array_equal(np.isfinite(lines), np.isfinite(x))
    assert 0.05 < np.isfinite(cols).mean() < 0.95
    line, col = cells(lines, cols, grid.shape)
    assert ((line < 0) | (line >= 14_000))[~np.isfinite(lines)].all()
    assert ((col >= 0) & (col < 14_000))[np.isfinite(cols)].all()


def test_cells_hold_places():
    at = np.array([[0.0, 0.99999, 1 - 1e-9, 1.0, 7.5, 8.0, -1e-9, -0.1, np.nan, np.inf, -np.inf, 1e300]])
    line, col = cells(at, at[:, ::-1].copy(), (8, 1))
    assert line.tolist() == [[0, 0, 1, 1, 7, 8, 0, -1, -1, 8, -1, 8]]
    assert col.tolist() == [[1, -1, 1, -1, -1, 0, 1, 1, 1, 1, 0, 0]]


@pytest.mark.parametrize("first", [-180.0, 0.0, 170.0, -540.0])
def test_longitudes_are_turned_to_where_the_raster_is(first):
    patch = Patch()  # near 10 degrees east
    grid = Grid(SYSTEMS["EPSG:4326"], Affine(0.01, 0, first, 0, -0.01, 90), (18_000, 36_000))
    x, _ = patch.projected(4326)
    (found,) = [
        cols for _, cols in places(grid, *patch.place, centres()) if cols.max() >= 0 and cols.min() < 36_000
    ]
    np.testing.assert_allclose(found, ((x - first) % 360) / 0.01, atol=1e-3)
