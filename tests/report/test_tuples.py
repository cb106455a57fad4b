import numpy as np
import pytest
import shapely
from matplotlib.image import imread

from spectralearth_build.report.maps import depth_colours
from spectralearth_build.report.tuples import depth_map, distribution, largest, richest
from spectralearth_build.tables import TUPLES


def row(component, n, windows, shape):
    names = [f"DT{k:010}" for k in range(n)]
    area = windows * 0.0009
    return {"component": component, "epsg": 32632, "n": n, "datatakes": names, "tiles": names, "windows": windows,
            "area_km2": area, "geometry": shape}  # fmt: skip


@pytest.fixture
def tuples():
    """A square ring of depth 1 round a square of depth 3; a strip of depth 2; far away, across the antimeridian."""
    ring = shapely.box(8, 48, 8.9, 48.9) - shapely.box(8.3, 48.3, 8.6, 48.6)
    halves = [shapely.box(179.5, 10, 180, 11), shapely.box(-180, 10, -179.5, 11)]
    return TUPLES.frame(
        [
            row(0, 1, 8000, ring),
            row(0, 3, 1000, shapely.box(8.3, 48.3, 8.6, 48.6)),
            row(1, 2, 500, shapely.box(20, 0, 20.1, 0.5)),
            row(1, 2, 70, shapely.box(20.1, 0, 20.2, 0.5)),
            row(2, 4, 900, shapely.MultiPolygon(halves)),
            row(3, 1, 10_000, shapely.box(50, 0, 51, 1)),
        ]
    )


def test_the_distribution_of_n(tuples):
    table = distribution(tuples)
    assert table[["n", "tuples", "windows"]].to_numpy().tolist() == [
        [1, 2, 18_000],
        [2, 2, 570],
        [3, 1, 1000],
        [4, 1, 900],
    ]
    assert table["area_km2"].tolist() == pytest.approx([16.2, 0.513, 0.9, 0.81])


def test_the_largest(tuples):
    assert largest(tuples, "n", 3)["n"].tolist() == [4, 3, 2]
    assert largest(tuples, "area_km2", 3)["windows"].tolist() == [1000, 900, 570 - 70]


def test_the_richest_components_come_first(tuples):
    assert richest(tuples) == [2, 0, 1, 3]  # 2700, 2000, 570 and 0 dates beyond the first
    assert richest(tuples.head(0)) == []


def test_the_map_shows_depth_where_it_is(tuples, tmp_path):
    alone = tuples[tuples["component"] == 0]
    picture = imread(depth_map(alone, tmp_path / "depth.png"))[..., :3]
    low, high = (np.array(depth_colours()(x)[:3]) for x in (0.0, 1.0))
    shallow, deep = ((np.abs(picture - colour) < 0.01).all(axis=2) for colour in (low, high))
    bar = picture.shape[0] * 7 // 8
    lines, cols = np.nonzero(deep[:bar])
    assert deep[:bar].sum() / shallow[:bar].sum() == pytest.approx(9 / 72, rel=0.05)
    inside = np.nonzero(shallow[:bar])
    assert lines.min() > inside[0].min()
    assert lines.max() < inside[0].max()
    assert (lines.max() - lines.min()) / (inside[0].max() - inside[0].min()) == pytest.approx(1 / 3, rel=0.05)
    assert cols.mean() == pytest.approx(inside[1].mean(), rel=0.05)


def test_the_antimeridian_does_not_tear_a_component(tuples, tmp_path):
    alone = tuples[tuples["component"] == 2]
    picture = imread(depth_map(alone, tmp_path / "depth.png"))[..., :3]
    deep = (np.abs(picture - np.array(depth_colours()(1.0)[:3])) < 0.01).all(axis=2)[
        : picture.shape[0] * 7 // 8
    ]
    lines, cols = np.nonzero(deep)
    box = (np.ptp(lines) + 1) * (np.ptp(cols) + 1)
    assert deep.sum() / box > 0.98  # one rectangle
    assert np.ptp(cols) / np.ptp(lines) == pytest.approx(np.cos(np.radians(10.5)), rel=0.03)


@pytest.mark.slow
def test_four_components_or_none_can_be_drawn(tuples, tmp_path):
    one, two = (depth_map(tuples, tmp_path / name).read_bytes() for name in ("1.png", "2.png"))
    assert one == two
    assert imread(depth_map(tuples.head(0), tmp_path / "none.png")).ndim == 3
