"""A tile of the neighbouring zone joins a series: its resampled pixels against the analytic scene."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from pyproj import Transformer

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.render import render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import ProductSpec

SEED, SIZE = 3, 190
EDGE = (12.0, 47.0)


def spec_in(epsg, number):
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(*EDGE)
    box = Box(round((15 - y) / 30) - SIZE // 2, round((x - 15) / 30) - SIZE // 2, SIZE, SIZE)
    base = ProductSpec(box=box, epsg=epsg, datatake=f"DT{number:010d}")
    return replace(base, started=base.started + timedelta(hours=number))


@pytest.fixture(scope="module")
def dataset(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge")
    for number, epsg in enumerate((32632, 32633), start=1):
        spec = spec_in(epsg, number)
        clear = Sky(SEED, 0.0, spec.sun_elevation, spec.sun_azimuth, SIZE)
        cube, layers = render(Scene(SEED), clear, spec, np.ones((SIZE, SIZE), bool), noise=0)
        write_product(folder, spec, cube, layers)
    return build(
        folder, tmp_path_factory.mktemp("dataset"), **{"quality.max_haze": 1, "quality.max_cirrus": 1}
    )


def truth(patch, epsg, moment):
    """Reflectance x 10000 of the scene at the centres of the patch's pixels."""
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(
        *np.meshgrid(patch["x"].to_numpy(), patch["y"].to_numpy())
    )
    return Scene(SEED).reflectance(lon, lat, moment, patch["wavelength_nm"].to_numpy()) * 1e4


def test_the_neighbour_joins_the_series_marked_resampled(dataset):
    location = dataset.locations[dataset.locations["n"] == 2].iloc[0]
    dates = dataset.patches[dataset.patches["location_id"] == location["location_id"]]
    zones = dataset.tiles.set_index("tile_id")["epsg"][dates["tile_id"]]
    assert sorted(zones) == [32632, 32633]
    assert (dates["resampled"].to_numpy() == (zones != location["epsg"]).to_numpy()).all()


def test_resampling_error_is_bounded_against_the_scene(dataset):
    location = dataset.locations[dataset.locations["n"] == 2].iloc[0]
    dates = dataset.patches[dataset.patches["location_id"] == location["location_id"]]
    errors = {}
    for row in dates.itertuples():
        patch = dataset.patch(row.location_id, row.acquired)
        number = int(row.datatake[2:])
        exact = truth(patch, location["epsg"], spec_in(32631 + number, number).started)
        errors[row.resampled] = np.abs(patch.to_numpy() - exact)
        spread = exact.std(axis=(1, 2)).mean()
    assert errors[False].max() <= 1.0  # rounding to whole numbers, float32
    assert np.sqrt((errors[True] ** 2).mean()) < 0.1 * spread
    # A shift by one pixel would be far worse than the interpolation.
    moved = np.sqrt((np.diff(exact, axis=2) ** 2).mean())
    assert np.sqrt((errors[True] ** 2).mean()) < 0.5 * moved
