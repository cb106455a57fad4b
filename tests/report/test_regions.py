import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.report.regions import LARGEST, MapRegion, enclosing, pieces, split

spots = st.lists(
    st.tuples(st.floats(-179, 178), st.floats(-79, 78), st.floats(0.1, 1), st.floats(0.1, 1)),
    min_size=1,
    max_size=8,
)


def boxes(corners):
    return np.array([shapely.box(x, y, x + w, y + h) for x, y, w, h in corners])


@given(spots)
def test_the_enclosing_region_holds_everything_and_leaves_the_widest_gap(corners):
    parts = boxes(corners)
    region = enclosing(parts)
    bounds = shapely.bounds(parts)
    turns = region.shift(bounds[:, [0, 2]].mean(axis=1))
    assert (bounds[:, 0] + turns >= region.west - 1e-9).all()
    assert (bounds[:, 2] + turns <= region.east + 1e-9).all()
    assert (region.south, region.north) == (bounds[:, 1].min(), bounds[:, 3].max())

    # Brute force: start at each polygon's west edge, go round, and see how far one must go.
    def reach(start):
        west = (bounds[:, 0] - start) % 360
        return (west + bounds[:, 2] - bounds[:, 0]).max()

    assert region.east - region.west == pytest.approx(min(reach(start) for start in bounds[:, 0]))


def test_a_region_across_the_antimeridian_is_compact():
    region = enclosing(np.array([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179.5, 1)]))
    assert region == MapRegion(179, 0, 180.5, 1)
    assert region.shift(np.array([179.5, -179.9])).tolist() == [0, 360]


def test_polygons_are_grouped_by_neighbourhood_and_across_the_antimeridian():
    parts = boxes([(10, 45, 0.3, 0.3), (-179.9, 0, 0.3, 0.3), (10.5, 45, 0.3, 0.3), (179.5, 0, 0.3, 0.3),
                   (10, -45, 0.3, 0.3), (11, 45.4, 0.3, 0.3)])  # fmt: skip
    assert [group.tolist() for group in split(parts)] == [[0, 2, 5], [1, 3], [4]]


def test_what_reaches_far_is_divided():
    parts = boxes([(x, y, 0.9, 0.9) for x in range(-179, 180) for y in (0, 1)] + [(0, 50, 0.5, 0.5)])
    groups = split(parts)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(parts)))
    assert len(groups) > 360 / LARGEST
    for group in groups:
        region = enclosing(parts[group])
        assert region.east - region.west <= LARGEST + 1e-9


def test_pieces_leave_out_what_has_no_shape():
    shapes = np.array([None, shapely.Polygon(), shapely.box(0, 0, 1, 1),
                       shapely.MultiPolygon([shapely.box(2, 2, 3, 3), shapely.box(5, 5, 6, 6)])])  # fmt: skip
    parts, owner = pieces(shapes)
    assert owner.tolist() == [2, 3, 3]
    assert [part.bounds[0] for part in parts] == [0, 2, 5]


@given(st.floats(-60, 60), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.5, 3))
def test_fitting_only_grows(south, width, height, ratio):
    before = MapRegion(10, south, 10 + width, south + height)
    after = before.fitted(ratio)
    assert after.west <= before.west + 1e-9
    assert after.south <= before.south + 1e-9
    assert (after.east - after.west) / before.aspect / (after.north - after.south) == pytest.approx(ratio)
    assert min(after.east - after.west - width, after.north - after.south - height) == pytest.approx(
        0, abs=1e-9
    )


def test_pieces_are_those_of_shapely_in_the_same_order():
    one, two = shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4)
    mixed = np.array([one, None, shapely.MultiPolygon([two, one]), two, shapely.Polygon(), one], dtype=object)
    parts, owner = pieces(mixed)
    expected, of = shapely.get_parts(mixed, return_index=True)
    filled = ~shapely.is_empty(expected)
    assert owner.tolist() == of[filled].tolist() == [0, 2, 2, 3, 5]
    assert shapely.equals_exact(parts, expected[filled]).all()
    assert parts[0] is one
