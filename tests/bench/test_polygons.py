"""Algorithm 1 on polygons, against all subsets and against the pixels of the cover."""

from itertools import combinations

import numpy as np
import pytest
import shapely

from spectralearth_build.bench.planning.polygons import footprints_of, grow, laid_out
from spectralearth_build.config import QualityConfig
from spectralearth_build.overlap.graph import components
from spectralearth_build.plan.component import on_each_lattice
from spectralearth_build.plan.tasks import tiles_of
from spectralearth_build.worth import worth_of
from tests.support.placements import overlapping

SIZE = 128


@pytest.fixture(scope="module")
def ground(tiles):
    """The largest component on its lattice."""
    group = max(components(tiles.geometry.to_numpy()), key=len)
    every = tiles_of(tiles)
    return next(on_each_lattice([every[i] for i in group], lambda _: None, QualityConfig()))


def test_every_tuple_grows_when_all_are_kept(ground):
    shapes = footprints_of(ground)
    names = [str(i) for i in range(len(shapes))]
    expected = {}
    for n in range(1, len(shapes) + 1):
        for members in combinations(range(len(shapes)), n):
            area = shapely.intersection_all(shapes[list(members)]).area
            if n == 1 or area >= SIZE**2:
                expected[members] = area
    found = {t.tiles: t.shape.area for level in grow(shapes, names, 1000, SIZE) for t in level}
    assert found.keys() == expected.keys()
    for members, area in found.items():
        assert area == pytest.approx(expected[members])
    assert max(map(len, found)) > 1


def test_only_the_largest_are_kept_and_no_datatake_twice(ground):
    shapes = footprints_of(ground)
    levels = grow(shapes, [str(i) for i in range(len(shapes))], 1, SIZE)
    assert [len(level) for level in levels[1:]] == [1] * (len(levels) - 1)
    assert len(grow(shapes, ["same"] * len(shapes), 1000, SIZE)) == 1


def test_windows_lie_inside_their_tuple_and_apart(ground):
    problem = ground.problem(worth_of("patches", 1, len(ground.datatakes)))
    anchors, dates = laid_out(problem, footprints_of(ground), 1000)
    assert len(anchors) == len(dates) > 0
    assert overlapping([tuple(a) for a in anchors.tolist()], SIZE) == []
    assert (dates <= ground.depth.members(anchors).sum(axis=1)).all()
    windows = shapely.box(anchors[:, 1], anchors[:, 0], anchors[:, 1] + SIZE, anchors[:, 0] + SIZE)
    showing = shapely.contains(footprints_of(ground)[:, np.newaxis], windows).sum(axis=0)
    assert (dates <= showing).all()
    assert dates.max() > 1
