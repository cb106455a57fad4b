"""Patches across the antimeridian, in coordinates that jump there and in projections that end there."""

import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer

from spectralearth_build.labels import resample
from spectralearth_build.labels.label_raster import open_label_raster
from spectralearth_build.labels.resample import on_patch
from tests.support.label_rasters import Patch, one_by_one, write


@pytest.fixture
def astride():
    """A patch across the antimeridian, which lies between two of its pixels' centres everywhere."""
    x, _ = Transformer.from_crs(4326, 32601, always_xy=True).transform(-180, 66.7)
    return Patch(32601, 15 + 30 * round(x / 30) - 64 * 30, 7_400_025.0)


@pytest.mark.parametrize("first", [-180.0, 0.0, -180.05])
@pytest.mark.parametrize("rule", ["nearest", "majority"])
def test_a_patch_across_the_antimeridian_is_whole(tmp_path, first, rule, astride, monkeypatch):
    x, y = astride.projected("EPSG:4326")
    assert x.min() < -179.95
    assert x.max() > 179.95
    values = np.random.default_rng(6).integers(1, 250, (300, 36_010)).astype(np.uint8)
    transform = Affine(0.01, 0, first, 0, -0.01, 68)
    path = write(tmp_path, values, transform, "EPSG:4326", tiled=True)
    with open_label_raster(path) as source:
        read, plain = [], source.read
        monkeypatch.setattr(source, "read", lambda *window: read.append(window) or plain(*window))
        found = on_patch(source, *astride.place, rule)
        assert source.covers(*astride.place)
    assert all((lines.stop - lines.start) * (cols.stop - cols.start) < 400 for lines, cols in read)
    assert (found != 255).all()
    line, col = (68 - y) / 0.01, (x - first) % 360 / 0.01
    truth = values[np.floor(line).astype(int), np.floor(col).astype(int)]
    if rule == "majority":  # the same where the pixel does not reach into another
        alone = (np.abs(line - np.rint(line)) > 0.03) & (np.abs(col - np.rint(col)) > 0.06)
        assert alone.mean() > 0.7
        found, truth = found[alone], truth[alone]
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("rule", ["nearest", "majority"])
def test_a_projection_torn_inside_a_patch_is_followed_exactly(tmp_path, rule, astride, monkeypatch):
    # Web Mercator ends at the antimeridian, in the middle of this patch.
    monkeypatch.setattr(resample, "LARGEST_WINDOW", 2**14)
    half = 20_037_508.342789244
    x, y = astride.projected("EPSG:3857")
    assert np.ptp(x) > 4e7 - 1e4
    values = np.random.default_rng(7).integers(1, 250, (40, 40_000)).astype(np.uint8)
    transform = Affine(half / 20_000, 0, -half, 0, -1000, y.max() + 5_000)
    path = write(tmp_path, values, transform, "EPSG:3857")
    with open_label_raster(path) as source:
        found = on_patch(source, *astride.place, rule)
    truth = one_by_one(values, transform, "EPSG:3857", astride, 255)
    assert (truth != 255).all()
    if rule == "majority":
        torn = np.abs(np.abs(x) - half) < 50
        assert 0 < torn.sum() < 400
        # Either side of the tear, or nothing; the others differ only where they reach into a neighbour.
        assert np.isin(found[torn], [255, *truth[torn]]).all()
        assert (found == truth)[~torn].mean() > 0.8
        return
    np.testing.assert_array_equal(found, truth)
