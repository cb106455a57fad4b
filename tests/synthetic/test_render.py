"""What the sensor records, against the analytic scene."""

from dataclasses import replace

import numpy as np
import pytest
from pyproj import Transformer

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.render import lonlat, render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import ProductSpec
from spectralearth_build.synthetic.spectra import noise

SPEC = ProductSpec(box=Box(-175000, 15569, 150, 40), version="V010402", band_set="B")
CLEAR = Sky((0,))
ALL = np.ones((150, 40), bool)


@pytest.fixture(scope="module")
def clear():
    return render(Scene(7), CLEAR, SPEC, ALL, noise=0)


def test_without_noise_it_is_the_scene(clear):
    cube, layers = clear
    lon, lat = lonlat(SPEC.box, SPEC.epsg)
    nm = band_set("B").wavelength_nm
    expected = 1e4 * Scene(7).reflectance(lon, lat, SPEC.started, nm)
    kept = [band for band in range(224) if band not in range(129, 135)]
    assert np.abs(cube[kept] - expected[kept]).max() <= 0.51
    assert (cube[129:135] == -32768).all()
    assert set(np.unique(layers.classes)) <= {1, 2}
    assert layers.cloud.sum() == layers.shadow.sum() == 0


def test_coordinates_are_those_of_pixel_centres():
    lon, lat = lonlat(SPEC.box, SPEC.epsg)
    west, _, _, north = SPEC.box.bounds
    expected = Transformer.from_crs(32633, 4326, always_xy=True).transform(west + 3.5 * 30, north - 2.5 * 30)
    assert (lon[2, 3], lat[2, 3]) == pytest.approx(expected, abs=1e-12)


def test_noise_has_the_given_strength_and_no_bias(clear):
    cube, _ = render(Scene(7), CLEAR, SPEC, ALL)
    for band in (5, 60, 110, 180, 220):
        error = (cube[band] - clear[0][band]) / 1e4
        sigma = noise([band_set("B").wavelength_nm[band]])[0]
        assert error.std() == pytest.approx(sigma, rel=0.05)
        assert abs(error.mean()) < sigma / 15
    assert (
        np.abs(np.corrcoef(cube[60].ravel() - clear[0][60].ravel(), cube[61].ravel() - clear[0][61].ravel()))[
            0, 1
        ]
        < 0.05
    )


def test_tiles_of_a_datatake_agree_where_they_overlap():
    other = replace(SPEC, tile=2, box=Box(-175000 + 130, 15560, 60, 40))
    cube, _ = render(Scene(7), CLEAR, SPEC, ALL)
    next_cube, _ = render(Scene(7), CLEAR, other, np.ones((60, 40), bool))
    np.testing.assert_array_equal(cube[:, 130:, :31], next_cube[:, :20, 9:])
    elsewhere, _ = render(Scene(7), CLEAR, replace(SPEC, datatake="DT0000001850"), ALL)
    assert (elsewhere[50] != cube[50]).mean() > 0.5


def test_versions_differ_in_the_bands_they_leave_out():
    old, new = (render(Scene(7), CLEAR, replace(SPEC, version=v), ALL)[0] for v in ("V010110", "V010302"))
    without = (old == -32768).all(axis=(1, 2))
    assert without.sum() == 22
    np.testing.assert_array_equal(old[~without], new[~without])


def test_outside_the_swath_there_is_nothing(clear):
    inside = ALL.copy()
    inside[:, 30:] = False
    cube, layers = render(Scene(7), Sky((3, 3), 0.5), SPEC, inside)
    assert (cube[:, ~inside] == -32768).all()
    assert (layers.classes[~inside] == 3).all()
    assert (layers.classes[inside] < 3).all()
    assert layers.cloud[~inside].sum() == 0
    assert (cube[50, inside] != -32768).all()


def test_clouds_are_bright_and_shadows_dark(clear):
    cube, layers = render(Scene(7), Sky((3, 3), 0.3, size=600), SPEC, ALL, noise=0)
    assert min(layers.cloud.sum(), layers.shadow.sum()) > 50
    blue = 10
    change = cube[blue].astype(int) - clear[0][blue]
    assert change[layers.cloud == 1].mean() > 2000
    nir = cube[60] / np.maximum(clear[0][60], 1)
    assert nir[layers.shadow == 1].mean() < 0.85


@pytest.mark.slow
def test_water_has_negative_values():
    lon, lat = lonlat(Box(-175000, 15569, 600, 600), 32633)
    water = Scene(7).abundances(lon, lat, SPEC.started)[3]
    line, col = (int(v) // 20 * 20 for v in np.unravel_index(water.argmax(), water.shape))
    box = Box(-175000 + line, 15569 + col, 20, 20)
    cube, layers = render(Scene(7), CLEAR, replace(SPEC, box=box), np.ones((20, 20), bool))
    pixels = cube[150:][:, water[line : line + 20, col : col + 20] > 0.98]
    assert pixels.size > 0
    assert (pixels < 0).mean() > 0.2
    assert (layers.classes == 2).any()
