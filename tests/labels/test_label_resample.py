"""Resampling against one pixel at a time, against dense counting, and against GDAL's warper where that is exact."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject

from spectralearth_build.errors import UsageError
from spectralearth_build.labels import resample
from spectralearth_build.labels.label_raster import open_label_raster
from spectralearth_build.labels.resample import default_rule, on_patch
from tests.support.label_rasters import Patch, Shape, noise, one_by_one, pixels, write

SHAPES = {
    "corine": Shape("EPSG:3035", 100),
    "cdl": Shape("EPSG:5070", 30),
    "geographic": Shape("EPSG:4326", 0.0001),
    "own zone": Shape("EPSG:32632", 10),
    "own zone, coarse": Shape("EPSG:32632", 77),
    "next zone": Shape("EPSG:32633", 30),
    "south-up": Shape("EPSG:3035", 40, "south"),
    "mirrored": Shape("EPSG:4326", 0.0003, "mirrored"),
    "rotated": Shape("EPSG:3035", 45, "rotated"),
    "rotated, geographic": Shape("EPSG:4326", 0.0004, "rotated"),
    "feet": Shape("EPSG:2225", 120),
    "grads": Shape("EPSG:4807", 0.0005),
    "southern patch": Shape("EPSG:4326", 0.0003, patch=Patch(32756, 399_975.0, 6_200_025.0)),
    "far north": Shape("EPSG:3035", 50, patch=Patch(32633, 499_995.0, 9_200_025.0)),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def shape(request):
    return request.param


def warped(path, patch, how):
    out = np.zeros((128, 128), rasterio.open(path).dtypes[0])
    to = {"dst_transform": Affine(30, 0, patch.west, 0, -30, patch.north), "dst_crs": f"EPSG:{patch.epsg}"}
    with rasterio.open(path) as source:
        reproject(rasterio.band(source, 1), out, resampling=how, **to)
    return out


def test_nearest_is_what_one_pixel_at_a_time_gives(shape, tmp_path):
    path, values, transform = noise(tmp_path, shape)
    with open_label_raster(path) as source:
        found = on_patch(source, *shape.patch.place, "nearest")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, one_by_one(values, transform, shape.crs, shape.patch, 255))
    assert (found != 255).all()


@pytest.mark.parametrize("name", ["corine", "cdl", "geographic", "own zone", "next zone", "far north"])
def test_nearest_is_what_gdal_gives(name, tmp_path):
    shape = SHAPES[name]
    path, _, transform = noise(tmp_path, shape)
    with open_label_raster(path) as source:
        found = on_patch(source, *shape.patch.place, "nearest")
    # The warper interpolates along lines, and may miss by an eighth of a pixel.
    line, col = pixels(transform, *shape.patch.projected(shape.crs))
    clear = (np.abs(line - np.rint(line)) > 0.125) & (np.abs(col - np.rint(col)) > 0.125)
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(found[clear], warped(path, shape.patch, Resampling.nearest)[clear])


def test_a_centre_on_an_edge_belongs_to_the_next_pixel_however_it_is_written(tmp_path):
    # EnMAP's lattice is offset by 15 m from that of Landsat in the same zone: every centre is a corner there.
    values = np.arange(200 * 200, dtype=np.int32).reshape(200, 200)
    patch = Patch(32632, 600_015.0, 5_300_025.0)
    for crs in ("EPSG:32632", "+proj=utm +zone=32 +datum=WGS84 +units=m"):
        path = write(tmp_path, values, Affine(30, 0, 599_400, 0, -30, 5_300_910), crs)
        with open_label_raster(path) as source:
            found = on_patch(source, *patch.place, "nearest")
        np.testing.assert_array_equal(found, values[30:158, 21:149])


def test_majority_is_the_mode_of_what_divides_a_pixel_evenly(tmp_path):
    values = np.random.default_rng(1).integers(0, 4, (3 * 128 + 20, 3 * 128 + 20)).astype(np.int16)
    patch = Patch()
    path = write(tmp_path, values, Affine(10, 0, patch.west - 100, 0, -10, patch.north + 100), "EPSG:32632")
    with open_label_raster(path) as source:
        assert default_rule(source) == "majority"
        found = on_patch(source, *patch.place, "majority")
    for i, j in np.ndindex(128, 128):
        votes = Counter(values[10 + 3 * i : 13 + 3 * i, 10 + 3 * j : 13 + 3 * j].ravel().tolist())
        assert found[i, j] == min(votes, key=lambda code: (-votes[code], code))


@cache
def transformer(epsg, crs):
    return Transformer.from_crs(epsg, crs, always_xy=True)


def parts(values, transform, crs, patch, i, j):
    """The source pixels that one pixel of the patch touches, and the areas that it has in common with each."""
    x = patch.west + 30 * (j + np.array([0, 1, 1, 0]))
    y = patch.north - 30 * (i + np.array([0, 0, 1, 1]))
    line, col = pixels(transform, *transformer(patch.epsg, crs).transform(x, y))
    lines, cols = np.mgrid[
        int(line.min()) : int(np.ceil(line.max())), int(col.min()) : int(np.ceil(col.max()))
    ].reshape(2, -1)
    areas = shapely.area(shapely.intersection(shapely.polygons(np.stack([line, col], axis=1)),
                                              shapely.box(lines, cols, lines + 1, cols + 1)))  # fmt: skip
    return values[lines, cols], areas


AREAS = [
    "corine",
    "geographic",
    "own zone",
    "own zone, coarse",
    "south-up",
    "mirrored",
    "rotated",
    "far north",
]


@pytest.mark.parametrize("name", AREAS)
def test_majority_is_the_code_of_the_largest_area(name, tmp_path):
    shape = SHAPES[name]
    path, values, transform = noise(tmp_path, shape, codes=5)
    with open_label_raster(path) as source:
        found = on_patch(source, *shape.patch.place, "majority")
    for i, j in np.random.default_rng(2).integers(0, 128, (60, 2)):
        codes, areas = parts(values, transform, shape.crs, shape.patch, i, j)
        total = np.bincount(codes, areas, minlength=5)
        assert total[found[i, j]] > total.max() - 1e-7


@pytest.mark.parametrize("name", AREAS)
def test_mean_is_the_mean_over_the_area(name, tmp_path):
    shape = SHAPES[name]
    transform, lines, cols = shape.transform()
    values = np.random.default_rng(3).uniform(0, 1, (lines, cols)).astype(np.float32)
    with open_label_raster(write(tmp_path, values, transform, shape.crs)) as source:
        assert default_rule(source) == "mean"
        found = on_patch(source, *shape.patch.place, "mean")
    for i, j in np.random.default_rng(4).integers(0, 128, (60, 2)):
        part, areas = parts(values, transform, shape.crs, shape.patch, i, j)
        assert found[i, j] == pytest.approx((part * areas).sum() / areas.sum(), abs=1e-6)


def test_area_is_what_dense_points_count(tmp_path):
    shape, dense = SHAPES["geographic"], 60
    path, values, transform = noise(tmp_path, shape, codes=3)
    with open_label_raster(path) as source:
        found = on_patch(source, *shape.patch.place, "majority")
    at, lost = (np.arange(dense) + 0.5) * 30 / dense, []
    for i, j in np.random.default_rng(9).integers(0, 128, (40, 2)):
        points = np.meshgrid(shape.patch.west + 30 * j + at, shape.patch.north - 30 * i - at)
        line, col = pixels(transform, *transformer(shape.patch.epsg, shape.crs).transform(*points))
        counted = np.bincount(values[line.astype(int), col.astype(int)].ravel(), minlength=3) / dense**2
        lost.append(counted.max() - counted[found[i, j]])
    assert max(lost) < 0.02


@pytest.mark.parametrize(("kind", "how"), [("mean", Resampling.average), ("majority", Resampling.mode)])
def test_areas_are_gdals_where_the_grids_agree(kind, how, tmp_path):
    patch = Patch()
    random = np.random.default_rng(5)
    values = random.uniform(0, 100, (400, 400)).astype(np.float32)
    if kind == "majority":  # odd numbers of pixels and two codes: no ties
        values = random.integers(1, 3, (400, 400)).astype(np.uint8)
    path = write(tmp_path, values, Affine(10, 0, patch.west, 0, -10, patch.north), "EPSG:32632")
    with open_label_raster(path) as source:
        found = on_patch(source, *patch.place, kind)
    np.testing.assert_allclose(found, warped(path, patch, how), rtol=1e-5)


def test_pixels_outside_the_raster_have_no_data(tmp_path):
    shape = SHAPES["cdl"]
    path, values, transform = noise(tmp_path, shape, nodata=7)
    patch = Patch(west=shape.patch.west + 2_500, north=shape.patch.north - 1_000)
    with open_label_raster(path) as source:
        found = on_patch(source, *patch.place, "nearest")
    truth = one_by_one(values, transform, shape.crs, patch, 7)
    np.testing.assert_array_equal(found, truth)
    assert 0.3 < (found == 7).mean() < 0.95


@pytest.mark.parametrize("rule", ["nearest", "majority"])
def test_a_patch_far_away_has_no_data_and_reads_nothing(tmp_path, rule, monkeypatch):
    path, _, _ = noise(tmp_path, SHAPES["corine"])
    with open_label_raster(path) as source:
        monkeypatch.setattr(source, "read", None)
        for epsg, north in ((32632, 1_000_005.0), (32756, 5_300_025.0), (32601, 9_300_015.0)):
            assert (on_patch(source, epsg, 600_015.0, north, rule) == 255).all()


def test_no_data_inside_has_no_vote_and_rules_where_it_has_most_of_the_area(tmp_path):
    patch = Patch()
    values = np.full((400, 400), 3, np.uint8)
    values[0, 0:3] = values[1, 0] = 9
    values[0:3, 3:6] = 9
    values[0, 3] = values[1, 4] = 5
    values[0, 6:9] = 5
    path = write(tmp_path, values, Affine(10, 0, patch.west, 0, -10, patch.north), "EPSG:32632", nodata=9)
    with open_label_raster(path) as source:
        found = on_patch(source, *patch.place, "majority")
    assert found[0, 0] == 3  # 4 of 9 have no data
    assert found[0, 1] == 9  # 7 of 9 have none
    assert found[0, 2] == 3
    assert (found == 9).sum() == 1


def test_quantities_without_data_do_not_count(tmp_path):
    patch = Patch()
    values = np.full((400, 400), 10, np.float32)
    values[0, 0], values[0, 1], values[0, 2] = -9999, 40, np.nan
    values[3:6, 0:2], values[3, 2] = -9999, np.inf
    path = write(tmp_path, values, Affine(10, 0, patch.west, 0, -10, patch.north), "EPSG:32632", nodata=-9999)
    with open_label_raster(path) as source:
        found = on_patch(source, *patch.place, "mean")
    assert found.dtype == np.float32
    assert found[0, 0] == pytest.approx((40 + 6 * 10) / 7)
    assert np.isnan(found[1, 0])
    assert np.isnan(found).sum() == 1


def test_large_windows_are_read_in_pieces(tmp_path, monkeypatch):
    path, values, transform = noise(tmp_path, SHAPES["cdl"])
    monkeypatch.setattr(resample, "LARGEST_WINDOW", 500)
    with open_label_raster(path) as source:
        read, plain = [], source.read
        monkeypatch.setattr(source, "read", lambda *window: read.append(window) or plain(*window))
        found = on_patch(source, *Patch().place, "nearest")
    np.testing.assert_array_equal(found, one_by_one(values, transform, "EPSG:5070", Patch(), 255))
    assert len(read) > 40
    assert all((lines.stop - lines.start) * (cols.stop - cols.start) <= 500 for lines, cols in read)


def test_only_the_window_is_read(tmp_path, monkeypatch):
    shape = Shape("EPSG:5070", 30, margin=1500)
    path, _, _ = noise(tmp_path, shape, tiled=True, compress="zstd")
    with open_label_raster(path) as source:
        read, plain = [], source.read
        monkeypatch.setattr(source, "read", lambda *window: read.append(window) or plain(*window))
        on_patch(source, *Patch().place, "nearest")
        assert source.shape[0] > 3000
    ((lines, cols),) = read
    assert max(lines.stop - lines.start, cols.stop - cols.start) < 260  # a turned square of 128 pixels


def test_a_mosaic_fills_the_gaps_of_its_first(tmp_path):
    patch = Patch()
    values = np.random.default_rng(8).integers(1, 200, (128, 128)).astype(np.uint8)
    west, east = values.copy(), values.copy()
    west[:, 70:], east[:, :60] = 0, 255
    west[5, 5] = 0
    east[:, 60:70] = 3
    transform = Affine(30, 0, patch.west, 0, -30, patch.north)
    paths = [
        write(tmp_path, west, transform, "EPSG:32632", "west.tif", nodata=0),
        write(tmp_path, east, transform, "EPSG:32632", "east.tif", nodata=255),
    ]
    with open_label_raster(paths[0]) as first, open_label_raster(paths[1]) as second:
        found = on_patch([first, second], *patch.place, "nearest")
        back = on_patch([second, first], *patch.place, "nearest")
    expected = values.copy()
    expected[5, 5] = 0  # neither has data
    np.testing.assert_array_equal(found, expected)
    expected[:, 60:70], expected[5, 5] = 3, 255
    np.testing.assert_array_equal(back, expected)


@dataclass
class Plain:
    """A source that is no file: what `on_patch` needs, and nothing more."""

    values: np.ndarray
    transform: Affine
    crs: CRS
    kind: str = "categorical"
    nodata: float = 0
    metres: float = 30.0
    name: str = "plain"

    @property
    def shape(self):
        return self.values.shape

    @property
    def dtype(self):
        return self.values.dtype

    def read(self, lines, cols):
        return self.values[lines, cols]


def test_rules_and_sources_must_fit():
    transform, crs = Affine(30, 0, 600_000, 0, -30, 5_300_000), CRS.from_epsg(32632)
    codes = Plain(np.ones((5, 5), np.uint8), transform, crs)
    wide = Plain(np.ones((5, 5), np.int16), transform, crs)
    amounts = Plain(np.ones((5, 5), np.float32), transform, crs, "continuous", np.nan)
    with pytest.raises(UsageError, match="mean does not apply to categorical"):
        on_patch(codes, *Patch().place, "mean")
    with pytest.raises(UsageError, match="majority does not apply to continuous"):
        on_patch(amounts, *Patch().place, "majority")
    with pytest.raises(UsageError, match="categorical int16, but plain is categorical uint8"):
        on_patch([codes, wide], *Patch().place, "nearest")


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        (Shape("EPSG:3035", 100), "nearest"),
        (Shape("EPSG:5070", 30), "nearest"),
        (Shape("EPSG:32632", 20), "nearest"),
        (Shape("EPSG:32632", 10), "majority"),
        (Shape("EPSG:4326", 0.0001), "majority"),
        (Shape("EPSG:2225", 33), "majority"),
    ],
)
def test_the_default_rule_depends_on_the_pixel(shape, rule, tmp_path):
    with open_label_raster(noise(tmp_path, shape)[0]) as source:
        assert default_rule(source) == rule


def test_codes_may_be_negative_and_large(tmp_path):
    patch = Patch()
    values = np.full((128, 128), -70_000, np.int32)
    values[:64] = 2**31 - 1
    path = write(tmp_path, values, Affine(30, 0, patch.west, 0, -30, patch.north), "EPSG:32632")
    with open_label_raster(path) as source:
        np.testing.assert_array_equal(on_patch(source, *patch.place, "nearest"), values)
        np.testing.assert_array_equal(on_patch(source, *patch.place, "majority"), values)
