"""Clouds, shadows and haze."""

import numpy as np
import pytest
from scipy import ndimage

from spectralearth_build.synthetic.sky import Sky

LON, LAT = np.meshgrid(11 + 0.0004 * np.arange(500), 47 - 0.00027 * np.arange(500))


@pytest.mark.parametrize("cover", [0.1, 0.3, 0.6])
def test_cover_is_about_what_was_asked(cover):
    random = np.random.default_rng(1)
    lon, lat = random.uniform(-180, 180, 20000), random.uniform(-60, 60, 20000)
    cloud = Sky((1, 3), cover).veil(lon, lat).flags[0]
    assert cloud.mean() == pytest.approx(cover, abs=0.05)


def test_a_clear_sky_is_wholly_clear():
    veil = Sky((1,), 0.0).veil(LON, LAT)
    assert veil.opacity.max() == veil.shade.max() == veil.haze.max() == veil.cirrus.max() == 0


@pytest.mark.slow
def test_shadows_are_clouds_moved_away_from_the_sun():
    sky = Sky((2, 3), 0.2, sun_elevation=45.0, sun_azimuth=180.0)
    veil = sky.veil(LON, LAT)
    # The sun stands in the south at 45 degrees, so a cloud at 900 m shades the ground 900 m to the north of it.
    caster = sky.veil(LON, LAT - 900 / 111_195)
    np.testing.assert_allclose(veil.shade / 0.65, caster.opacity, atol=0.01)
    assert np.abs(veil.shade / 0.65 - veil.opacity).max() > 0.9


def test_a_pixel_has_one_flag_at_most_and_haze_lies_round_clouds():
    cloud, shadow, haze = Sky((2, 3), 0.2, sun_elevation=30).veil(LON, LAT).flags
    assert (cloud + shadow + haze).max() == 1
    assert min(cloud.sum(), shadow.sum(), haze.sum()) > 500
    near = ndimage.binary_dilation(cloud, iterations=12)
    assert (haze.astype(bool) & near).sum() > 0.5 * haze.sum()


def test_cirrus_has_three_levels():
    assert set(np.unique(Sky((2, 3), 0.4).veil(LON, LAT).cirrus)) == {0, 1, 2, 3}


@pytest.mark.slow
def test_weather_differs_between_datatakes():
    first, second = (Sky((2, key), 0.3).veil(LON, LAT).flags[0] for key in (1, 2))
    assert (first != second).mean() > 0.1
