"""Components on two lattices: never worth less than the plain strategies, and what is held stays clear."""

import numpy as np
import pytest

from spectralearth_build.config import QualityConfig
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.plan.component import on_each_lattice
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.lattices import blocked_by, place, value_of
from spectralearth_build.plan.shelves import shelves
from spectralearth_build.worth import worth_of
from tests.plan.test_zone_edges import EDGES, tile_at

SIZE = 64


def problems_at(name, preset):
    lon, lat, zones = EDGES[name]
    aside = ((0.0, 0.0), (0.05, 0.03), (-0.06, 0.02), (0.03, -0.05))
    tiles = [tile_at(lon + x, lat + y, zones[k % 2], k + 1) for k, (x, y) in enumerate(aside)]
    found = list(on_each_lattice(tiles, lambda _: None, QualityConfig(), SIZE))
    return {g.epsg: g.problem(worth_of(preset, 1, len(g.datatakes))) for g in found}


@pytest.mark.parametrize("preset", ["patches", "series", "pairs"])
@pytest.mark.parametrize("name", ["zone edge", "equator", "far north"])
def test_ours_is_worth_at_least_as_much_as_the_plain_strategies(name, preset):
    problems = problems_at(name, preset)
    assert len(problems) == 2
    ours = value_of(problems, place(problems, shelves))
    for plain in (greedy, fixed_lattice):
        assert ours >= value_of(problems, place(problems, plain))


@pytest.mark.parametrize("strategy", [shelves, greedy, fixed_lattice])
def test_windows_keep_clear_of_those_of_the_other_lattice_and_of_what_is_held(strategy):
    problems = problems_at("zone edge", "patches")
    first, second = problems
    around = {epsg: problem.cover.region().box for epsg, problem in problems.items()}
    everything = place(problems, shelves)
    held = {epsg: anchors[::3] for epsg, anchors in everything.items()}
    placed = place(problems, strategy, held)
    assert placed.keys() == problems.keys()
    for epsg, anchors in placed.items():
        assert len(anchors)
        assert not blocked_by(held, epsg, SIZE, around[epsg]).contains(anchors).any()
    shadows = [
        blocked_by({a: placed[a]}, b, SIZE, around[b]).contains(placed[b])
        for a, b in ((first, second), (second, first))
    ]
    assert not all(shadow.any() for shadow in shadows)  # whichever was placed last kept clear of the other


def test_a_single_lattice_is_left_to_the_strategy():
    problems = problems_at("zone edge", "patches")
    epsg = next(iter(problems))
    alone = {epsg: problems[epsg]}
    np.testing.assert_array_equal(place(alone, shelves)[epsg], shelves(problems[epsg]))


@pytest.mark.parametrize("name", ["zone edge", "equator", "far north"])
def test_windows_far_from_the_other_lattice_are_left_out_only_where_they_block_nothing(name):
    problems = problems_at(name, "patches")
    first, second = problems
    everywhere = Box(-(1 << 20), -(1 << 20), 1 << 21, 1 << 21)
    for one, other in ((first, second), (second, first)):
        placed = {one: shelves(problems[one])}
        region = problems[other].cover.region()
        whole = blocked_by(placed, other, SIZE, everywhere)
        near = blocked_by(placed, other, SIZE, region.box)
        assert whole & region
        np.testing.assert_array_equal((near & region).runs, (whole & region).runs)
