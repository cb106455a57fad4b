"""The lattice on real numbers: the first recorded catalogue item of the archive."""

import pytest

from spectralearth_build.overlap.lattice import Box, box_of_raster, window


def test_a_real_raster_lies_on_the_lattice():
    box = box_of_raster(467085.0, 6321105.0, (30.0, 30.0), (1222, 1268))
    assert box == Box(-210703, 15569, 1222, 1268)
    assert box.bounds == (467085, 6284445, 505125, 6321105)


@pytest.mark.parametrize(
    ("west", "north", "pixel"),
    [
        (467084.0, 6321105.0, 30.0),
        (467085.0, 6321100.0, 30.0),
        (467085.0, 6321105.0, 29.99),
        (467070.0, 6321105.0, 30.0),
    ],
)
def test_off_the_lattice_is_none(west, north, pixel):
    assert box_of_raster(west, north, (pixel, pixel), (10, 10)) is None


def test_boxes_meet_and_slice():
    a, b = Box(0, 0, 10, 10), window(5, 7, 8)
    assert a.intersection(b) == Box(5, 7, 5, 3)
    assert a.intersection(Box(10, 0, 5, 5)) is None
    assert Box(5, 7, 5, 3).slices(inside=a) == (slice(5, 10), slice(7, 10))
    assert a.grown(2) == Box(-2, -2, 14, 14)
