"""A whole component against a brute force over every anchor, pixel by pixel."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.mask import CLOUD, SHADOW, VALID, WATER
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.view import Tile
from spectralearth_build.plan.component import plan_component
from tests.support.component_rows import as_rows
from tests.support.placements import overlapping

SIZE = 3
EPSG = 32632
LINE, COL = -170_000, 16_600  # in the middle of the zone
EXTENT = 16
QUALITY = QualityConfig(max_cloud=0.25, max_shadow=0.0, max_haze=1, max_cirrus=1)


@st.composite
def archives(draw):
    """Up to six tiles of three datatakes with random masks, overlapping at random."""
    tiles, masks = [], {}
    for number in range(draw(st.integers(1, 6))):
        datatake = draw(st.sampled_from(["DT01", "DT02", "DT03"]))
        height, width = draw(st.integers(3, 9)), draw(st.integers(3, 9))
        top, left = draw(st.integers(0, EXTENT - height)), draw(st.integers(0, EXTENT - width))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        bits = np.where(rng.random((height, width)) < 0.97, VALID, 0)
        for flag, share in ((CLOUD, 0.1), (SHADOW, 0.02), (WATER, 0.5)):
            bits |= np.where(rng.random((height, width)) < share, flag, 0)
        mask = np.where(bits & VALID, bits, 0).astype(np.uint8)
        box = Box(LINE + top, COL + left, height, width)
        tile = Tile(
            f"{datatake}_{number + 1:03d}",
            datatake,
            number + 1,
            EPSG,
            box,
            to_lonlat(shapely.box(*box.bounds), EPSG),
        )
        tiles.append(tile)
        masks[tile.tile_id] = mask
    return tiles, masks


def mosaics(tiles, masks):
    """For each datatake: mask and source tile of every pixel, the lowest tile number first."""
    found = {}
    for tile in sorted(tiles, key=lambda t: t.number):
        mask, source = found.setdefault(
            tile.datatake, (np.zeros((EXTENT, EXTENT), np.uint8), np.full((EXTENT, EXTENT), "", object))
        )
        for i, j in np.argwhere(masks[tile.tile_id] & VALID):
            at = (tile.box.line - LINE + i, tile.box.col - COL + j)
            if not mask[at] & VALID:
                mask[at], source[at] = masks[tile.tile_id][i, j], tile.tile_id
    return found


def windows(array):
    return {
        (i, j): array[i : i + SIZE, j : j + SIZE]
        for i in range(EXTENT - SIZE + 1)
        for j in range(EXTENT - SIZE + 1)
    }


def clear(mask):
    return (mask & VALID).all() and ((mask & CLOUD) > 0).mean() <= 0.25 and not (mask & SHADOW).any()


def seen_by(tiles, masks):
    """For each anchor, the datatakes that see it whole and clear."""
    seen = {}
    for datatake, (mask, _) in sorted(mosaics(tiles, masks).items()):
        for anchor, pixels in windows(mask).items():
            if clear(pixels):
                seen.setdefault(anchor, []).append(datatake)
    return seen


def planned(tiles, masks, **settings):
    plan = plan_component(tiles, lambda tile: masks[tile.tile_id], PlanConfig(**settings), QUALITY, SIZE)
    return as_rows(plan)


def anchor(location):
    return -location["lattice_row"] - LINE, location["lattice_col"] - COL


@pytest.mark.slow
@given(
    archives(),
    st.sampled_from(["shelves", "algorithm1", "lattice", "greedy"]),
    st.sampled_from(["patches", "pairs"]),
)
@settings(max_examples=150)
def test_locations_have_all_their_dates_and_never_overlap(archive, strategy, value):
    plan = planned(*archive, strategy=strategy, value=value)
    seen = seen_by(*archive)
    assert overlapping([anchor(location) for location in plan.locations], SIZE) == []
    dates = {}
    for patch in plan.patches:
        dates.setdefault(patch["location_id"], []).append(patch["datatake"])
    for location in plan.locations:
        assert sorted(dates[location["location_id"]]) == seen[anchor(location)]
        assert location["n"] == len(seen[anchor(location)])
    assert len(dates) == len(plan.locations)
    if strategy in ("shelves", "greedy") and seen:
        assert plan.locations


@pytest.mark.slow
@given(archives())
def test_tuples_are_the_distinct_covers(archive):
    expected = Counter(tuple(datatakes) for datatakes in seen_by(*archive).values())
    assert {tuple(row["datatakes"]): row["windows"] for row in planned(*archive).tuples} == expected


@pytest.mark.slow
@given(archives())
def test_tiles_of_a_tuple_are_those_that_give_pixels(archive):
    tiles, masks = archive
    seen, mosaic = seen_by(tiles, masks), mosaics(tiles, masks)
    expected = {}
    for at, datatakes in seen.items():
        givers = expected.setdefault(tuple(datatakes), set())
        for datatake in datatakes:
            givers.update(windows(mosaic[datatake][1])[at].ravel())
    assert {tuple(row["datatakes"]): set(row["tiles"]) for row in planned(*archive).tuples} == expected


@pytest.mark.slow
@given(archives())
def test_overlaps_are_the_windows_wholly_in_both_tiles(archive):
    tiles, masks = archive
    seen = seen_by(tiles, masks)
    inside = {}
    for tile in tiles:
        whole = np.zeros((EXTENT, EXTENT), np.uint8)
        whole[
            Box(tile.box.line - LINE, tile.box.col - COL, tile.box.height, tile.box.width).slices(
                Box(0, 0, EXTENT, EXTENT)
            )
        ] = masks[tile.tile_id] & VALID
        inside[tile.tile_id] = {
            at for at, pixels in windows(whole).items() if pixels.all() and tile.datatake in seen.get(at, [])
        }
    expected = {}
    for a, b in combinations(sorted(tiles, key=lambda t: t.tile_id), 2):
        common = inside[a.tile_id] & inside[b.tile_id]
        if a.datatake != b.datatake and common:
            expected[a.tile_id, b.tile_id] = len(common)
    assert {
        (row["tile_a"], row["tile_b"]): row["windows"] for row in planned(tiles, masks).overlaps
    } == expected


@pytest.mark.slow
@given(archives())
def test_patches_name_their_sources_owner_and_fractions(archive):
    tiles, masks = archive
    plan = planned(tiles, masks)
    mosaic = mosaics(tiles, masks)
    where = {location["location_id"]: anchor(location) for location in plan.locations}
    for patch in plan.patches:
        mask, source = mosaic[patch["datatake"]]
        givers = Counter(windows(source)[where[patch["location_id"]]].ravel())
        assert patch["sources"] == sorted(givers)
        assert givers[patch["tile_id"]] == max(givers.values())
        pixels = windows(mask)[where[patch["location_id"]]]
        assert patch["cloud_fraction"] == ((pixels & CLOUD) > 0).mean()
        assert patch["water_fraction"] == ((pixels & WATER) > 0).mean()
        assert not patch["resampled"]


@pytest.mark.slow
@given(archives(), st.integers(2, 3))
def test_min_dates_leaves_out_shorter_series(archive, least):
    plan = planned(*archive, min_dates=least)
    assert all(location["n"] >= least for location in plan.locations)
    if any(len(dates) >= least for dates in seen_by(*archive).values()):
        assert plan.locations


@pytest.mark.slow
@given(archives())
def test_the_order_of_the_tiles_changes_nothing(archive):
    tiles, masks = archive
    one, other = planned(tiles, masks), planned(tiles[::-1], masks)
    assert (one.locations, one.patches, one.overlaps) == (other.locations, other.patches, other.overlaps)


@pytest.mark.slow
@given(archives(), st.lists(st.integers(0, 200), min_size=3, max_size=3), st.integers(1, 150))
def test_dates_that_lie_too_near_do_not_count(archive, days, least):
    tiles, masks = archive
    day = dict(zip(["DT01", "DT02", "DT03"], days, strict=True))
    dated = [replace(tile, day=day[tile.datatake]) for tile in tiles]
    plan = planned(dated, masks, min_days_apart=least)
    seen = seen_by(tiles, masks)
    dates = {}
    for patch in plan.patches:
        dates.setdefault(patch["location_id"], []).append(patch["datatake"])
    for location in plan.locations:
        counted, last = [], -1000
        for datatake in sorted(seen[anchor(location)], key=lambda name: (day[name], name)):
            if day[datatake] - last >= least:
                counted.append(datatake)
                last = day[datatake]
        assert sorted(dates[location["location_id"]]) == sorted(counted)
        assert location["n"] == len(counted)


@pytest.mark.slow
@given(archives(), st.integers(0, EXTENT), st.integers(0, EXTENT))
def test_only_windows_of_the_region(archive, lines, cols):
    tiles, masks = archive
    region = to_lonlat(shapely.box(*Box(LINE, COL, max(1, lines), max(1, cols)).bounds), EPSG)
    plan = as_rows(
        plan_component(tiles, lambda t: masks[t.tile_id], PlanConfig(), QUALITY, SIZE, region=region)
    )
    half = SIZE / 2
    for line, col in map(anchor, plan.locations):
        assert -1 <= line + half <= lines + 1
        assert -1 <= col + half <= cols + 1
    reachable = [
        (i, j) for i, j in seen_by(tiles, masks) if i + half < lines - 1 and j + half < cols - 1 and i and j
    ]
    assert plan.locations or not reachable
