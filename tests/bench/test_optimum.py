"""The optimum against exhaustive search, and everything else below it."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.bench.planning.optimum import SIZE, Gap, best_value, gaps, line, plane
from spectralearth_build.overlap.coverage import cover
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region
from spectralearth_build.plan.bound import upper_bound
from spectralearth_build.plan.problem import Problem
from spectralearth_build.plan.shelves import shelves
from spectralearth_build.worth import worth_of
from tests.support.placements import overlapping

BOX = Box(0, 0, 4, 5)
MASKS = st.lists(hnp.arrays(np.bool_, (4, 5)), min_size=1, max_size=3)


def problem_of(masks, size=2, value="patches"):
    regions = [Region.from_mask(mask, BOX) for mask in masks]
    return Problem(cover(regions, [str(i) for i in range(len(masks))]), worth_of(value, 1, len(masks)), size)


def best_by_exhaustion(masks, size=2):
    depth = np.sum(masks, axis=0)
    anchors = [tuple(a) for a in np.argwhere(depth > 0).tolist()]
    best = 0
    for n in range(1, 7):
        for some in combinations(anchors, n):
            if not overlapping(list(some), size):
                best = max(best, sum(int(depth[a]) for a in some))
    return best


@given(st.lists(hnp.arrays(np.bool_, (3, 4)), min_size=1, max_size=2))
@settings(max_examples=25)
def test_the_integer_programme_is_right(masks):
    padded = [np.pad(mask, ((0, 1), (0, 1))) for mask in masks]
    value, ceiling = best_value(problem_of(padded))
    assert value == pytest.approx(best_by_exhaustion(padded))
    assert ceiling == pytest.approx(value)


@given(MASKS, st.sampled_from(["patches", "series"]))
@settings(max_examples=40)
def test_shelves_optimum_and_bound_stand_in_order(masks, value):
    problem = problem_of(masks, value=value)
    optimum, _ = best_value(problem)
    assert problem.value(shelves(problem)) <= optimum + 1e-6
    assert optimum <= upper_bound(problem) + 1e-6


def test_planes_have_the_proportions_of_tiles():
    (anchors,) = plane(1, np.random.default_rng(0))
    scale = SIZE / 128
    assert (1000 - 300) * scale * (1024 - 300) * scale < anchors.area < 1250 * scale * 1024 * scale


@pytest.mark.slow
def test_shelves_are_near_the_optimum_of_a_single_tile():
    gap = next(gaps({"ours": shelves}, time_limit=1800))  # proven in a minute where nothing else runs
    assert gap.proven
    assert 0.95 * gap.optimum <= gap.reached["ours"] <= gap.optimum + 1e-6 <= gap.bound + 1e-6


def test_a_gap_reads_as_a_line():
    proven = Gap(2, "d", 100.0, True, 100.0, 110.0, {"ours": 98, "greedy": 90})
    assert line(proven) == "2 tiles, value d: optimum 100; ours 98.0%, greedy 90.0%; our bound 110.0%"
    assert "at most 125; ours 78.4%" in line(replace(proven, proven=False, ceiling=125.0))
