"""The plan of an archive's datatakes."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.synthetic.geometry import footprints_of
from spectralearth_build.synthetic.sites import (
    DEMO_SITE,
    band_set_of,
    datatake_name,
    demo_passes,
    morning,
    random_passes,
    version_of,
)


@given(st.integers(1, 120), st.integers(0, 5))
@settings(max_examples=25)
def test_a_random_plan_has_the_tiles_asked_for(tiles, seed):
    passes = random_passes(tiles, seed, 300)
    assert sum(strip.tiles for strip in passes) == tiles
    assert len({strip.datatake for strip in passes}) == len(passes)
    assert passes == random_passes(tiles, seed, 300)
    assert all(1 <= strip.tiles <= 20 and abs(strip.off_nadir) <= 26 for strip in passes)


def test_a_large_plan_has_every_kind_of_site():
    passes = random_passes(2000, 0, 1240)
    places = Counter((round(strip.lon), round(strip.lat)) for strip in passes)
    assert max(places.values()) >= 10
    assert max(strip.tiles for strip in passes) == 20
    assert any(strip.lat < 0 for strip in passes)
    assert any(strip.epsg for strip in passes)
    assert sum(abs(strip.lon) > 179.9 for strip in passes) > 1


def test_visits_of_a_site_share_windows():
    first, *others = random_passes(12, 0, 300)[:3]
    square = shapely.Polygon(footprints_of(first, 300)[0].corners_xy())
    for strip in others:
        shared = square.intersection(shapely.Polygon(footprints_of(strip, 300)[0].corners_xy()))
        assert shapely.maximum_inscribed_circle(shared).length > 64 * 30


def test_the_demo_has_what_it_is_for():
    passes = demo_passes(0, 300)
    lon, lat = DEMO_SITE
    series = [strip for strip in passes if abs(strip.lon - lon) < 0.2 and abs(strip.lat - lat) < 0.2]
    assert len(series) == 5
    assert [strip.tiles for strip in series] == [1, 1, 1, 1, 3]
    assert {band_set_of(strip.started) for strip in series} == {"A", "B", "C"}
    edge = [strip for strip in passes if abs(strip.lon - 12) < 0.05 and strip.lat > 46]
    assert {footprints_of(strip, 300)[0].epsg for strip in edge} == {32632, 32633}
    assert {footprints_of(strip, 300)[0].epsg for strip in passes[-2:]} == {32750, 32601}


def test_the_demo_strip_crosses_the_series_at_a_border_of_tiles():
    passes = demo_passes(0, 300)
    single = shapely.Polygon(footprints_of(passes[1], 300)[0].corners_xy())
    shares = [
        single.intersection(shapely.Polygon(tile.corners_xy())).area / single.area
        for tile in footprints_of(passes[4], 300)
    ]
    assert min(shares[1:]) > 0.4
    assert sum(shares) > 0.95


def test_datatake_numbers_are_like_real_ones():
    taken = set()
    real = {1849: (2022, 7, 24), 25905: (2023, 7, 7), 80454: (2024, 6, 30), 140097: (2025, 7, 8)}
    for number, day in real.items():
        made = int(datatake_name(datetime(*day, tzinfo=UTC), taken)[2:])
        assert made == pytest.approx(number, rel=0.8, abs=20000)
    assert datatake_name(datetime(2025, 7, 8, tzinfo=UTC), taken) not in {*(f"DT{n:010d}" for n in real)}
    assert len(taken) == 5


def test_band_sets_and_versions_follow_the_date():
    days = [
        datetime(2022, 12, 31, tzinfo=UTC),
        datetime(2024, 6, 29, tzinfo=UTC),
        datetime(2024, 6, 30, tzinfo=UTC),
    ]
    assert [band_set_of(day) for day in days] == ["A", "B", "C"]
    assert [version_of(day) for day in days] == ["V010110", "V010402", "V010502"]


@pytest.mark.parametrize("lon", [-179.0, -60.0, 0.0, 116.0, 179.0])
def test_passes_are_at_eleven_local_solar_time(lon):
    moment = morning(datetime(2024, 5, 5, tzinfo=UTC), lon)
    hours = (moment - datetime(2024, 5, 5, tzinfo=UTC)).total_seconds() / 3600 + lon / 15
    assert np.isclose(hours, 11, atol=0.15)
