import numpy as np
import pytest
from pyproj import Transformer
from scipy import ndimage

from spectralearth_build import mask as masks
from spectralearth_build.bench.planning import clouds
from spectralearth_build.bench.show import number
from spectralearth_build.overlap.polygon import region_of_footprint
from spectralearth_build.plan.tasks import tiles_of
from spectralearth_build.synthetic.sky import Sky


@pytest.fixture(scope="module")
def cloudy(tiles):
    """The tile with most, but not all, of its pixels clear, and its mask."""
    made = [(tile, clouds.mask_of(tile, 0)) for tile in tiles_of(tiles)[:6]]
    return max(made, key=lambda pair: share(pair[1]) * (share(pair[1]) < 0.6))


def share(mask):
    return ((mask & masks.CLOUD) > 0).sum() / max(1, (mask > 0).sum())


@pytest.mark.slow
def test_masks_are_valid_in_the_footprint_and_the_same_each_time(cloudy):
    tile, mask = cloudy
    assert mask.shape == (tile.box.height, tile.box.width)
    assert ((mask & masks.VALID) > 0).sum() == region_of_footprint(tile.footprint, tile.epsg).area
    assert (mask == clouds.mask_of(tile, 0)).all()
    assert (mask != clouds.mask_of(tile, 1)).any()


def test_clouds_are_those_of_the_sky_to_three_pixels(cloudy):
    tile, mask = cloudy
    number = int(tile.datatake[2:])
    cover = np.random.default_rng([0, number]).beta(0.5, 1.5)
    lines, cols = np.arange(400, 600), np.arange(400, 600)
    x, y = np.meshgrid(15 + 30 * (tile.box.col + cols + 0.5), 15 - 30 * (tile.box.line + lines + 0.5))
    lonlat = Transformer.from_crs(tile.epsg, 4326, always_xy=True).transform(x, y)
    expected, _, _ = Sky((0, number), float(cover)).veil(*lonlat).flags
    found = (mask[400:600, 400:600] & masks.CLOUD) > 0
    assert 0.02 < expected.mean() < 0.98
    square = np.ones((7, 7), bool)  # the sky is drawn on a coarser grid
    assert (found <= ndimage.binary_dilation(expected, square)).all()
    assert (found >= ndimage.binary_erosion(expected, square)).all()


@pytest.mark.slow
def test_each_component_is_measured(tiles):
    measured = clouds.validity(tiles[tiles["datatake"].isin(tiles["datatake"].unique()[:3])], 0)
    assert measured["tiles"].sum() >= 3
    assert (measured[["load_seconds", "mask_seconds", "footprint_seconds", "mask_bytes"]] > 0).all(axis=None)
    assert measured["footprint_runs"].sum() > 0
    text = "\n".join(clouds.lines(measured, 2, 0, 300.0))
    assert "extrapolated: s for 11,636 tiles" in text
    whole = measured["mask_seconds"].sum() / measured["tiles"].sum() * 11_636
    assert f" {number(whole)}" in text
