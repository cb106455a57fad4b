"""Resampling against scipy, closed forms and pyproj."""

import numpy as np
import pytest
from pyproj import Transformer
from scipy.ndimage import map_coordinates

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.resample import (
    NODATA,
    bilinear,
    bilinear_valid,
    nearest,
    source_grid,
    support,
)


def points(seed, box, n=(20, 30)):
    rng = np.random.default_rng(seed)
    return box.line + rng.uniform(0.5, box.height - 0.5, n), box.col + rng.uniform(0.5, box.width - 0.5, n)


def test_bilinear_equals_scipy():
    box = Box(-50, 70, 40, 45)
    pixels = np.random.default_rng(0).integers(-300, 9000, (3, 40, 45)).astype(np.int16)
    lines, cols = points(1, box)
    found = bilinear(pixels, box, lines, cols)
    for band, expected in enumerate(pixels.astype(float)):
        exact = map_coordinates(expected, [lines - box.line - 0.5, cols - box.col - 0.5], order=1)
        assert np.abs(found[band] - exact).max() <= 0.5 + 1e-6


def test_a_plane_is_reproduced():
    box = Box(0, 0, 30, 30)
    i, j = np.mgrid[:30, :30] + 0.5
    pixels = (100 * i + 30 * j).astype(np.int16)[np.newaxis]
    lines, cols = points(2, box)
    assert np.abs(bilinear(pixels, box, lines, cols)[0] - (100 * lines + 30 * cols)).max() <= 0.51


def test_whole_pixels_come_through_unchanged_even_at_the_border():
    box = Box(3, 4, 6, 7)
    pixels = np.arange(42, dtype=np.int16).reshape(1, 6, 7)
    lines, cols = np.mgrid[3:9, 4:11] + 0.5
    assert np.array_equal(bilinear(pixels, box, lines, cols), pixels)


def test_nodata_spreads_to_all_that_it_weighs_on_and_no_further():
    box = Box(0, 0, 5, 5)
    pixels = np.full((1, 5, 5), 7, np.int16)
    pixels[0, 2, 2] = NODATA
    lines, cols = (grid.astype(float) for grid in np.mgrid[1:5, 1:5])  # corners shared by four pixels
    found = bilinear(pixels, box, lines, cols)[0]
    near = np.isin(lines, [2, 3]) & np.isin(cols, [2, 3])
    assert (found[near] == NODATA).all()
    assert (found[~near] == 7).all()
    assert np.array_equal(bilinear_valid(pixels[0] != NODATA, box, lines, cols), ~near)


def test_outside_the_box_is_nodata():
    box = Box(0, 0, 4, 4)
    pixels = np.ones((1, 4, 4), np.int16)
    lines, cols = np.array([[-0.1, 0.6, 3.6]]), np.array([[2.0, 2.0, 2.0]])
    assert bilinear(pixels, box, lines, cols).tolist() == [[[NODATA, 1, NODATA]]]


def test_grid_is_pyproj_and_support_is_enough():
    target = Box(-176000, 23500, 9, 11)
    lines, cols = source_grid(target, 32632, 32633)
    east, north = Transformer.from_crs(32632, 32633, always_xy=True).transform(
        15 + 30 * (23500 + 2.5), 15 + 30 * (176000 - 4.5)
    )
    assert abs(cols[4, 2] - (east - 15) / 30) < 1e-7
    assert abs(lines[4, 2] - (15 - north) / 30) < 1e-7
    box = support(lines, cols)
    assert (bilinear(np.ones((1, box.height, box.width), np.int16), box, lines, cols) == 1).all()
    for smaller in (
        Box(box.line + 1, box.col, box.height - 1, box.width),
        Box(box.line, box.col, box.height - 1, box.width),
        Box(box.line, box.col + 1, box.height, box.width - 1),
        Box(box.line, box.col, box.height, box.width - 1),
    ):
        pixels = np.ones((1, smaller.height, smaller.width), np.int16)
        assert (bilinear(pixels, smaller, lines, cols) == NODATA).any()


EDGES = [
    (32632, 32633, 100_000, 830_000),
    (32632, 32633, 5_100_000, 720_000),
    (32633, 32632, 5_100_000, 250_000),
    (32632, 32633, 9_200_000, 530_000),
    (32732, 32632, 9_980_000, 500_000),
    (32701, 32760, 7_000_000, 200_000),
    (32701, 32760, 3_000_000, 460_000),
    (32632, 32634, 5_100_000, 800_000),
]


@pytest.mark.parametrize(("target", "source", "north", "east"), EDGES)
def test_coordinates_are_those_of_pyproj(target, source, north, east):
    box = Box((15 - north) // 30, (east - 15) // 30, 170, 200)
    x = 15 + 30 * (np.arange(box.col, box.stop_col) + 0.5)
    y = 15 - 30 * (np.arange(box.line, box.stop_line) + 0.5)
    exact_east, exact_north = Transformer.from_crs(target, source, always_xy=True).transform(
        *np.meshgrid(x, y)
    )
    lines, cols = source_grid(box, target, source)
    assert np.abs(cols - (exact_east - 15) / 30).max() < 1e-7  # pixels
    assert np.abs(lines - (15 - exact_north) / 30).max() < 1e-7


def test_one_pixel_has_one_value_however_the_window_is_cut():
    whole, part = Box(-176000, 23500, 200, 200), Box(-175993, 23604, 105, 66)
    for a, b in zip(source_grid(whole, 32632, 32633), source_grid(part, 32632, 32633), strict=True):
        assert np.array_equal(a[part.slices(whole)], b)


def test_nearest_takes_the_pixel_that_the_point_falls_into():
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = nearest(values, Box(10, 20, 3, 4), np.array([[10.1, 12.99, 9.9]]), np.array([[20.9, 23.0, 21.0]]))
    assert found.tolist() == [[0, 11, 0]]
