"""Spectra against what is known of the materials."""

import numpy as np
import pytest

from spectralearth_build.synthetic import spectra

NM = np.linspace(418, 2446, 500)


def at(name, *wavelengths):
    return spectra.surfaces(wavelengths)[spectra.SURFACES.index(name)]


def test_all_are_reflectances():
    values = spectra.surfaces(NM)
    assert values.shape == (6, 500)
    assert values.min() > -0.001
    assert values.max() < 1
    assert 0 < spectra.cloud(NM).min() < spectra.cloud(NM).max() < 1


def test_vegetation_has_green_peak_red_edge_and_leaf_water():
    blue, green, red, plateau, dip, swir, deep = at("vegetation", 450, 550, 670, 850, 970, 1650, 1940)
    assert blue < green > red
    assert (plateau - red) / (plateau + red) > 0.8
    assert dip < plateau
    assert deep < swir < plateau


def test_dry_vegetation_has_cellulose_and_no_red_edge():
    red, edge, shoulder, cellulose, beyond = at("dry vegetation", 670, 780, 2020, 2100, 2200)
    assert (edge - red) / (edge + red) < 0.25
    assert cellulose < min(shoulder, beyond)


def test_soil_rises_and_has_clay():
    blue, red, swir, clay, beyond = at("soil", 450, 670, 1650, 2205, 2270)
    assert blue < red < swir
    assert clay < beyond


def test_water_is_dark_and_black_in_the_infrared():
    assert at("water", 450)[0] > 0.02
    assert np.abs(at("water", *np.arange(1000, 2400, 50))).max() < 0.001


def test_snow_is_bright_and_dark_where_ice_absorbs():
    assert at("snow", 500)[0] > 0.9
    assert at("snow", 1510)[0] < 0.1
    assert at("snow", 2010)[0] < 0.1


def test_vapour_takes_the_light_of_the_dropped_bands_only():
    assert (spectra.vapour([1360, 1400, 1850, 1890]) > 0.9).all()
    assert (spectra.vapour([550, 865, 1240, 1650, 2200]) < 0.01).all()
    assert spectra.vapour([940])[0] == pytest.approx(1 - np.exp(-0.7), abs=0.01)


def test_noise_is_small_where_there_is_light():
    assert (spectra.noise([450, 850, 2200]) < 0.004).all()
    assert spectra.noise([1385])[0] > 10 * spectra.noise([1240])[0]


def test_haze_is_blue():
    assert (np.diff(spectra.haze(NM)) < 0).all()
