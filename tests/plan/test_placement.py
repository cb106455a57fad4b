"""Every strategy against brute force on small planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.overlap.coverage import cover
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region
from spectralearth_build.plan.algorithm1 import algorithm1, grow
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.problem import Problem, conflicts
from spectralearth_build.plan.shelves import best_shelves, pieces, shelves
from spectralearth_build.worth import worth_of
from tests.support.placements import overlapping

SHAPE = (9, 10)
BOX = Box(-4, 6, *SHAPE)
RECTANGLES = st.tuples(st.integers(0, 8), st.integers(0, 9), st.integers(1, 7), st.integers(1, 8))
STRATEGIES = {
    "shelves": shelves,
    "lattice": fixed_lattice,
    "greedy": greedy,
    "algorithm1": algorithm1(20),
}


@st.composite
def problems(draw):
    masks = []
    for top, left, height, width in draw(st.lists(RECTANGLES, min_size=1, max_size=5)):
        mask = np.zeros(SHAPE, bool)
        mask[top : top + height, left : left + width] = True
        masks.append(mask)
    names = [f"DT{i}" for i in range(len(masks))]
    regions = tuple(Region.from_mask(m, BOX) for m in masks)
    worth = worth_of(
        draw(st.sampled_from(["patches", "series", "pairs"])), draw(st.integers(1, 2)), len(masks)
    )
    problem = Problem(cover(regions, names), worth, draw(st.integers(2, 3)), regions, tuple(names))
    return problem, np.sum(masks, axis=0)


def best_by_exhaustion(depth, worth, size):
    """Greatest value of rows of windows: try every line and every column, with and without."""

    def best_row(values):
        if len(values) == 0:
            return 0
        return max(best_row(values[1:]), values[0] + best_row(values[size:]))

    def best(rows):
        return max(best(rows[1:]), rows[0] + best(rows[size:])) if rows else 0

    return best([best_row(worth[line].tolist()) for line in depth])


@pytest.mark.slow
@given(problems())
def test_shelves_are_the_best_rows_of_windows(case):
    problem, depth = case
    values = problem.worth[problem.cover.depth]
    worthy = values > 0
    expected = best_by_exhaustion(depth, problem.worth, problem.size)
    if not worthy.any():
        assert expected == 0
        return
    anchors, value = best_shelves(problem.cover.segments[worthy], values[worthy], problem.size)
    assert problem.value(anchors) == value == expected
    turned = best_by_exhaustion(depth.T, problem.worth, problem.size)
    assert problem.value(shelves(problem)) >= turned
    assert problem.value(shelves(problem)) >= expected
    assert problem.value(fixed_lattice(problem)) <= expected


@pytest.mark.slow
@given(problems())
def test_shelves_are_worth_at_least_as_much_as_greedy_and_the_lattice(case):
    problem, _ = case
    ours = problem.value(shelves(problem))
    assert ours >= problem.value(greedy(problem))
    assert ours >= problem.value(fixed_lattice(problem))


@pytest.mark.parametrize("name", STRATEGIES)
@given(case=problems())
def test_windows_never_overlap_and_are_worth_something(name, case):
    problem, depth = case
    anchors = STRATEGIES[name](problem)
    assert overlapping([tuple(a) for a in anchors.tolist()], problem.size) == []
    assert (problem.worth[depth[anchors[:, 0] - BOX.line, anchors[:, 1] - BOX.col]] > 0).all()


@given(problems())
def test_nothing_more_fits_beside_shelves(case):
    problem, depth = case
    worthy = Region.from_mask(problem.worth[depth] > 0, BOX)
    assert not worthy - conflicts(shelves(problem), problem.size)


@given(problems())
def test_pieces_cannot_collide(case):
    problem, _ = case
    segments = problem.cover.segments
    piece = pieces(segments, problem.size)
    for i, (line, start, stop) in enumerate(segments.tolist()):
        for j, (other_line, other_start, other_stop) in enumerate(segments.tolist()):
            near = abs(line - other_line) < problem.size
            if near and start < other_stop + problem.size - 1 and other_start < stop + problem.size - 1:
                assert piece[i] == piece[j]


@given(problems())
def test_algorithm1_grows_every_tuple_when_it_keeps_all(case):
    problem, _ = case
    masks = [r.to_mask(BOX) for r in problem.tiles]
    expected = {}
    for subset in range(1, 2 ** len(masks)):
        members = tuple(i for i in range(len(masks)) if subset >> i & 1)
        common = np.all([masks[i] for i in members], axis=0)
        if common.any():
            expected[members] = common.sum()
    found = {t.tiles: t.anchors.area for level in grow(problem, kept=1000) for t in level}
    assert found == expected


@pytest.mark.slow
def test_algorithm1_never_pairs_tiles_of_one_datatake():
    box = Region.from_box(Box(0, 0, 4, 4))
    problem = Problem(cover([box], ["A"]), worth_of("patches", 1, 2), 2, (box, box), ("A", "A"))
    assert [len(level) for level in grow(problem, 20)] == [2]


@pytest.mark.slow
@given(problems())
def test_greedy_goes_down_the_depths_line_by_line(case):
    problem, depth = case
    size = problem.size
    free, expected = problem.worth[depth] > 0, []
    while free.any():
        deepest = free & (depth == depth[free].max())
        line, col = np.argwhere(deepest)[0]
        expected.append((line + BOX.line, col + BOX.col))
        free[max(0, line - size + 1) : line + size, max(0, col - size + 1) : col + size] = False
    assert greedy(problem).tolist() == [list(anchor) for anchor in expected]
