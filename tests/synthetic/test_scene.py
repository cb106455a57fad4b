"""The analytic ground, against brute force and known behaviour."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.synthetic.scene import EARTH, Scene, Waves, earth_centred
from spectralearth_build.synthetic.spectra import SURFACES, surfaces

SUMMER, WINTER = datetime(2024, 7, 15, tzinfo=UTC), datetime(2024, 1, 15, tzinfo=UTC)
PLACES = st.tuples(st.floats(-180, 180), st.floats(-80, 80))


def grid(lon, lat, step=0.0003, size=60):
    return np.meshgrid(lon + step * np.arange(size), lat - step * np.arange(size))


def test_waves_are_a_sum_of_cosines():
    waves = Waves((1, 2), 2, 400, 5000, 7)
    vectors, phases, amplitudes = waves._table
    x, y, z = earth_centred(11.3, 47.9)
    expected = [
        sum(a * np.sin(v @ [x, y, z] + p) for a, v, p in zip(row, vectors, phases, strict=True))
        for row in amplitudes
    ]
    assert waves(11.3, 47.9) == pytest.approx(np.array(expected), abs=1e-4)
    lengths = 2 * np.pi / np.linalg.norm(vectors, axis=1)
    assert lengths[[0, -1]] == pytest.approx([400, 5000])


def test_fields_are_about_standard_normal():
    random = np.random.default_rng(0)
    values = Waves((3,), 4, 400, 15000, 60)(random.uniform(-180, 180, 20000), random.uniform(-80, 80, 20000))
    assert np.abs(values.mean(axis=1)).max() < 0.05
    assert np.abs(values.std(axis=1) - 1).max() < 0.05


@given(PLACES, st.sampled_from([SUMMER, WINTER]))
@settings(max_examples=50)
def test_shares_are_shares(place, moment):
    shares = Scene(1).abundances(*place, moment)
    assert shares.shape == (6,)
    assert shares.min() >= 0
    assert shares.sum() == pytest.approx(1, abs=1e-5)


@given(st.floats(-80, 80))
def test_the_antimeridian_is_no_edge(lat):
    west, east = (Scene(1).reflectance(lon, lat, SUMMER, [550, 850]) for lon in (180.0, -180.0))
    assert west == pytest.approx(east, abs=1e-5)


def test_reflectance_mixes_the_spectra():
    scene, (lon, lat) = Scene(2), grid(11.0, 47.0, size=8)
    nm = [450.0, 670.0, 850.0, 1650.0, 2200.0]
    shares = scene.abundances(lon, lat, SUMMER)
    expected = sum(shares[i] * surfaces(nm)[i][:, None, None] for i in range(6))
    assert scene.reflectance(lon, lat, SUMMER, nm) == pytest.approx(expected, abs=1e-6)
    assert scene.reflectance(lon, lat, SUMMER, nm).dtype == np.float32


def test_seasons_change_vegetation_and_turn_round_in_the_south():
    for lat, green, brown in ((45.0, SUMMER, WINTER), (-35.0, WINTER, SUMMER)):
        lon, lats = grid(20.0, lat, 0.02)
        shares = {m: Scene(4).abundances(lon, lats, m) for m in (green, brown)}
        assert shares[green][0].mean() > 2 * shares[brown][0].mean()
        np.testing.assert_allclose(shares[green][3], shares[brown][3], atol=1e-5)  # water stays


def test_snow_lies_in_northern_winters_only():
    lon, lat = grid(20.0, 62.0, 0.02)
    snow = SURFACES.index("snow")
    assert Scene(4).abundances(lon, lat, WINTER)[snow].mean() > 0.5
    assert Scene(4).abundances(lon, lat, SUMMER)[snow].max() < 1e-3


def test_ground_is_varied_yet_smooth_enough_to_interpolate():
    """Half-way between two pixels 30 m apart, their mean is off by little: what resampling may be measured against."""
    metre = np.degrees(1 / EARTH)
    lon, lat = grid(11.0, 0.0, 15 * metre, 301)
    values = Scene(6).reflectance(lon, lat, SUMMER, [850.0])[0]
    off = np.abs(values[:, 1:-1:2] - (values[:, :-2:2] + values[:, 2::2]) / 2)
    assert off.max() < 0.02
    assert values.std() > 0.03


def test_seeds_make_different_worlds():
    lon, lat = grid(11.0, 47.0)
    first, second = (Scene(seed).reflectance(lon, lat, SUMMER, [850])[0] for seed in (1, 2))
    assert np.abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.9
    assert np.abs(first - second).max() > 0.05
