"""What rasters may reach, against where their pixels really lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from spectralearth_build.labels.reach import reach


@dataclass(frozen=True)
class Raster:
    crs: CRS
    transform: Affine
    shape: tuple[int, int]


def raster(crs, west, north, step, size, turn=0.0):
    return Raster(CRS(crs), Affine(step, turn * step, west, turn * step, -step, north), (size, size))


@pytest.mark.slow
@given(
    st.sampled_from([3035, 5070, 32601, 32760, 3031, 3413, "ESRI:54009", 4326]),
    st.floats(-170, 170), st.floats(-89, 89), st.sampled_from([0.0, 0.4]),
)  # fmt: skip
def test_no_pixel_lies_outside(crs, lon, lat, turn):
    to_crs = Transformer.from_crs(4326, crs, always_xy=True)
    x, y = to_crs.transform(lon, lat)
    if not np.isfinite([x, y]).all():
        return
    step = 0.01 if crs == 4326 else 1000.0
    made = raster(crs, x, y, step, 300, turn)
    col, line = (v.ravel() for v in np.meshgrid(np.linspace(0, 300, 25), np.linspace(0, 300, 25)))
    px, py = x + step * (col + turn * line), y + step * (turn * col - line)
    longitude, latitude = Transformer.from_crs(crs, 4326, always_xy=True).transform(px, py)
    there = np.isfinite(longitude) & np.isfinite(latitude) & (np.abs(latitude) <= 90)
    longitude, latitude = (longitude[there] + 180) % 360 - 180, latitude[there]
    again = to_crs.transform(
        longitude, latitude
    )  # outside of what a projection shows, it maps back elsewhere
    back = np.hypot(again[0] - px[there], again[1] - py[there]) < step
    assert shapely.intersects_xy(reach(made), longitude[back], latitude[back]).all()


@pytest.mark.parametrize(
    ("west", "size", "inside", "outside"),
    [
        (179.0, 200, [(179.5, 0), (-179.5, 0)], [(178, 0), (-178, 0)]),
        (190.0, 200, [(-169, 0)], [(-171, 0), (10, 0)]),
        (0.0, 36000, [(-100, 0), (100, 0)], []),
    ],
)
def test_across_the_antimeridian_and_around_the_world(west, size, inside, outside):
    found = reach(raster(4326, west, 1.0, 0.01, size))
    assert all(found.intersects(shapely.Point(*place)) for place in inside)
    assert not any(found.intersects(shapely.Point(*place)) for place in outside)
