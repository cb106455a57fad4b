"""Footprints against shapely's union of all pixels."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from pyproj import Transformer

from spectralearth_build.archive.footprint import footprint, hull
from spectralearth_build.overlap.lattice import Box

BOX = Box(-210703, 15569, 9, 7)


@settings(max_examples=80, deadline=None)
@given(arrays(bool, (9, 7)).filter(np.any))
def test_hull_of_all_pixel_squares(inside):
    west, _, _, north = BOX.bounds
    squares = [
        shapely.box(west + 30 * col, north - 30 * line - 30, west + 30 * col + 30, north - 30 * line)
        for line, col in np.argwhere(inside)
    ]
    assert hull(inside, BOX).equals(shapely.union_all(squares).convex_hull)


def test_in_longitude_and_latitude():
    result = footprint(np.ones((9, 7), bool), BOX, 32633)
    west, south, east, north = BOX.bounds
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform([west, east], [south, north])
    assert result.bounds == pytest.approx((lon[0], lat[0], lon[1], lat[1]), abs=1e-4)
    assert shapely.is_valid(result)


def test_across_the_antimeridian():
    col, line = (
        round((v - 15) / 30) for v in Transformer.from_crs(4326, 32660, always_xy=True).transform(180, -0.5)
    )
    result = footprint(np.ones((900, 900), bool), Box(-line, col - 450, 900, 900), 32660)
    assert result.geom_type == "MultiPolygon"
    assert max(part.bounds[2] - part.bounds[0] for part in result.geoms) < 0.2
