"""Fill and outline against shapely and GDAL."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Transformer
from rasterio.features import rasterize
from rasterio.transform import Affine

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.polygon import outline, region_of_footprint
from spectralearth_build.overlap.region import Region

BOX = Box(-176000, 15000, 20, 24)
GRID = Affine(30, 0, 15 + 30 * BOX.col, 0, -30, 15 - 30 * BOX.line)


@given(hnp.arrays(np.bool_, (20, 24), elements=st.sampled_from([True, True, False])))
def test_outline_holds_exactly_the_pixels(mask):
    shape = outline(Region.from_mask(mask, BOX).runs)
    assert shape.is_valid
    assert shape.area == 900 * mask.sum()
    if mask.any():
        assert np.array_equal(rasterize([shape], out_shape=mask.shape, transform=GRID).astype(bool), mask)


@given(st.lists(st.tuples(st.floats(0, 24), st.floats(0, 20)), min_size=3, max_size=7))
def test_footprint_fill_takes_pixels_whose_centre_is_inside(points):
    west, north = 15 + 30 * BOX.col, 15 - 30 * BOX.line
    hull = shapely.convex_hull(shapely.MultiPoint([(west + 30 * x, north - 30 * y) for x, y in points]))
    if hull.geom_type != "Polygon" or hull.area < 1000:
        return
    to_lonlat = Transformer.from_crs(32632, 4326, always_xy=True)
    footprint = shapely.transform(hull, lambda p: np.stack(to_lonlat.transform(*p.T), axis=1))
    found = region_of_footprint(footprint, 32632).to_mask(BOX)
    lines, cols = np.mgrid[:20, :24] + 0.5
    x, y = 15 + 30 * (BOX.col + cols), 15 - 30 * (BOX.line + lines)
    surely = shapely.contains_xy(shapely.buffer(hull, -0.01), x, y)
    possibly = shapely.contains_xy(shapely.buffer(hull, 0.01), x, y)
    assert (found >= surely).all()
    assert (found <= possibly).all()


def test_a_footprint_cut_at_the_antimeridian_fills_without_a_seam():
    parts = shapely.MultiPolygon([shapely.box(179.99, 10, 180, 10.01), shapely.box(-180, 10, -179.99, 10.01)])
    whole = region_of_footprint(parts, 32601)
    assert whole.runs[:, 0].size == np.unique(whole.runs[:, 0]).size  # one run a line


@given(hnp.arrays(np.bool_, (20, 24), elements=st.sampled_from([True, True, True, False])))
def test_simplified_outline_stays_near_and_sound(mask):
    runs = Region.from_mask(mask, BOX).runs
    exact, simple = outline(runs), outline(runs, tolerance=1.0)
    assert simple.is_valid
    far = shapely.difference(simple, shapely.buffer(exact, 43))  # a pixel's diagonal
    assert far.area < 1e-6


def test_a_slanted_stripe_has_few_corners():
    lines = np.arange(400)
    runs = np.stack([lines, 10 + lines // 4, 300 + lines // 4], axis=1).astype(np.int32)
    exact, simple = outline(runs), outline(runs, tolerance=1.0)
    assert len(simple.exterior.coords) <= 7 < 300 < len(exact.exterior.coords)
    assert abs(simple.area / exact.area - 1) < 0.005
