"""The rasters against the ground that they describe, pixel by pixel."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Transformer

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.label_raster import open_label_raster
from spectralearth_build.labels.resample import on_patch
from spectralearth_build.overlap.lattice import PIXEL, WINDOW, Box
from spectralearth_build.synthetic.cover import cdl, corine, cover_at, nlcd, tree_cover
from spectralearth_build.synthetic.land_cover import areas_of_dataset, land_cover
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.tables import TILES

SEED = 4
NAMES = ["corine", "cdl_2022", "cdl_2023", "cdl_2024", "nlcd_2021", "nlcd_2023", "tree_cover"]
PLACES = {
    "europe": (32632, Box(-176_000, 19_000, 140, 150)),
    "antimeridian": (32601, Box(-246_000, 12_136, 140, 150)),
    "the cut of the conic projection": (32644, Box(-120_000, 31_290, 140, 150)),  # 84 degrees east
    "south": (32750, Box(-250_000, 16_000, 140, 150)),
}
TRUTH = {
    "corine": corine,
    **{f"cdl_{year}": lambda cover, year=year: cdl(cover, year) for year in (2022, 2023, 2024)},
    **{f"nlcd_{year}": lambda cover, year=year: nlcd(cover, year) for year in (2021, 2023)},
    "tree_cover": tree_cover,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cover")
    assert land_cover(folder, PLACES.values(), SEED) == [folder / f"{name}.tif" for name in NAMES]
    return folder


def anchor(place):
    """A patch in the middle of a place."""
    epsg, box = PLACES[place]
    return epsg, 15 + PIXEL * (box.col + 10), 15 - PIXEL * (box.line + 5)


@pytest.mark.parametrize(
    ("name", "epsg", "pixel", "dtype", "nodata"),
    [
        ("corine", 3035, 100, "uint8", 255),
        ("cdl_2023", 5070, 30, "uint8", 0),
        ("nlcd_2021", 5070, 30, "uint8", 0),
        ("tree_cover", 4326, 0.0001, "float32", -1),
    ],
)
def test_the_files_are_like_those_of_the_services(written, name, epsg, pixel, dtype, nodata):
    path = written / f"{name}.tif"
    with rasterio.open(path) as raster:
        assert (raster.crs.to_epsg(), raster.dtypes, raster.nodata) == (epsg, (dtype,), nodata)
        assert raster.res == (pixel, pixel)
        assert raster.block_shapes == [(2048, 2048)]
        # Sparse: in memory it would be gigabytes.
        assert raster.width * raster.height > 1e9
    assert path.stat().st_size < 40e6


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["corine", "cdl_2022", "nlcd_2023"])
def test_a_patch_has_the_codes_of_the_ground_at_the_centres_of_the_rasters_pixels(written, name, place):
    epsg, west, north = anchor(place)
    with open_label_raster(written / f"{name}.tif") as source:
        assert source.covers(epsg, west, north)
        found = on_patch(source, epsg, west, north, "nearest")
        assert (found != source.nodata).all()
    at = PIXEL * (np.arange(WINDOW) + 0.5)
    system, pixel = (3035, 100) if name == "corine" else (5070, 30)
    x, y = Transformer.from_crs(epsg, system, always_xy=True).transform(*np.meshgrid(west + at, north - at))
    centre = (np.floor(x / pixel) + 0.5) * pixel, (np.floor(y / pixel) + 0.5) * pixel
    lon, lat = Transformer.from_crs(system, 4326, always_xy=True).transform(*centre)
    np.testing.assert_array_equal(found, TRUTH[name](cover_at(Scene(SEED), lon, lat)))
    assert len(np.unique(found)) > 2


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_tree_cover_is_that_of_the_ground(written, place):
    epsg, west, north = anchor(place)
    with open_label_raster(written / "tree_cover.tif") as source:
        found = on_patch(source, epsg, west, north, "mean")
    at = PIXEL * (np.arange(WINDOW * 4) + 0.5) / 4
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*np.meshgrid(west + at, north - at))
    truth = tree_cover(cover_at(Scene(SEED), lon, lat)).reshape(WINDOW, 4, WINDOW, 4).mean(axis=(1, 3))
    # A pixel across the antimeridian follows one side of it.
    whole = np.ptp(lon.reshape(WINDOW, 4, WINDOW, 4), axis=(1, 3)) < 300
    assert whole.mean() > 0.99
    assert np.abs(found - truth)[whole].max() < 1
    assert np.abs(found - truth)[whole].mean() < 0.05
    assert not np.isnan(found).any()
    assert np.ptp(truth) > 50


def test_years_differ_in_the_files(written):
    window = []
    for year in (2022, 2023, 2024):
        with open_label_raster(written / f"cdl_{year}.tif") as source:
            window.append(on_patch(source, *anchor("europe"), "nearest"))
    assert 0.005 < (window[0] != window[1]).mean() < 0.2
    np.testing.assert_array_equal(window[0], window[2])


@pytest.mark.slow
def test_a_pixel_has_one_value_whatever_the_archive_and_the_bytes_are_the_same(written, tmp_path):
    alone = {"europe": PLACES["europe"]}
    first, second = tmp_path / "first", tmp_path / "second"
    land_cover(first, alone.values(), SEED)
    land_cover(second, [*alone.values()] * 2, SEED)
    for name in NAMES:
        digests = {
            hashlib.sha256((folder / f"{name}.tif").read_bytes()).hexdigest() for folder in (first, second)
        }
        assert len(digests) == 1
        rule = "mean" if name == "tree_cover" else "nearest"
        with open_label_raster(first / f"{name}.tif") as a, open_label_raster(written / f"{name}.tif") as b:
            np.testing.assert_allclose(
                *(on_patch(source, *anchor("europe"), rule) for source in (a, b)), rtol=1e-6, atol=1e-4
            )
    assert sorted(path.name for path in first.iterdir()) == sorted(f"{name}.tif" for name in NAMES)


def test_nothing_is_filled_far_from_tiles(written):
    epsg, west, north = anchor("europe")
    with open_label_raster(written / "cdl_2022.tif") as source:
        assert (on_patch(source, epsg, west + 60_000, north, "nearest") == 0).all()


def test_areas_of_a_dataset_are_its_sound_tiles(tmp_path):
    rows = {"product_id": ["a", "b", "c"], "tile_id": ["a", "b", "c"], "epsg": [32632, 32601, None],
            "lattice_row": [176_000, 5, None], "lattice_col": [19_000, 6, None], "height": [140, 7, None],
            "width": [150, 8, None], "eligible": [True, False, False]}  # fmt: skip
    TILES.write(TILES.frame(pd.DataFrame(rows)), tmp_path)
    assert areas_of_dataset(tmp_path) == [PLACES["europe"]]


def test_without_tiles_there_is_nothing_to_write(tmp_path):
    with pytest.raises(UsageError, match="no tiles"):
        land_cover(tmp_path / "cover", [])
    assert not (tmp_path / "cover").exists()
