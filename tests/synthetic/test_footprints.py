"""The tile table for planning at scale, against geodesics and counted ground."""

import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod

from spectralearth_build.archive.names import parse_name
from spectralearth_build.synthetic.footprints import footprints
from spectralearth_build.tables import TILES


@pytest.fixture(scope="module")
def frame():
    return footprints(5000, 1)


def test_it_is_the_tile_table(frame):
    assert list(frame.columns) == [column.name for column in TILES.columns]
    assert len(frame) == 5000
    assert frame.crs == "EPSG:4326"
    assert frame.tile_id.is_unique
    assert frame.eligible.all()
    assert (frame["mask"] == "").all()
    assert set(frame.status) == {"unused"}
    assert all(
        parse_name(name).tile_id == tile for name, tile in zip(frame.product_id, frame.tile_id, strict=True)
    )


def test_it_is_deterministic(frame):
    pd.testing.assert_frame_equal(footprints(300, 3), footprints(300, 3))
    assert not footprints(300, 3).equals(footprints(300, 4))


@pytest.mark.parametrize("tiles", [1, 2, 7, 40, 301])
def test_there_are_exactly_as_many_tiles_as_asked_for(tiles):
    frame = footprints(tiles, 2)
    assert len(frame) == tiles
    for _, numbers in frame.groupby("datatake")["tile"]:
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_footprints_have_the_size_of_tiles(frame):
    areas = (
        np.array([abs(Geod(ellps="WGS84").geometry_area_perimeter(g)[0]) for g in frame.geometry[:200]]) / 1e6
    )
    assert 850 < areas.min() < areas.max() < 1250
    assert shapely.is_valid(frame.geometry.values).all()
    assert (frame.geometry.bounds.maxx - frame.geometry.bounds.minx)[
        frame.geometry.geom_type == "Polygon"
    ].max() < 3


def test_boxes_lie_round_the_footprints(frame):
    from pyproj import Transformer

    for row in frame[:50].itertuples():
        x, y = Transformer.from_crs(4326, row.epsg, always_xy=True).transform(
            *shapely.get_coordinates(row.geometry).T
        )
        assert 15 + 30 * row.lattice_col == pytest.approx(x.min(), abs=31)
        assert 15 + 30 * row.lattice_row == pytest.approx(y.max(), abs=31)
        assert row.width * 30 == pytest.approx(np.ptp(x), abs=61)
        assert row.height * 30 == pytest.approx(np.ptp(y), abs=61)


def test_strips_overlap_by_the_right_area(frame):
    strip = frame[frame.datatake == frame.datatake.value_counts().index[0]].sort_values("tile")
    assert list(strip.tile) == list(range(1, 21))
    shared = strip.geometry.values[0].intersection(strip.geometry.values[1])
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(shared)[0]) / 1e6
    assert area == pytest.approx(17.2, rel=0.35)  # 17.15 at nadir, more in a wider swath


@pytest.mark.slow
def test_ground_is_revisited_as_in_the_archive(frame):
    tree = shapely.STRtree(frame.geometry.values)
    random = np.random.default_rng(0)
    lat = np.degrees(np.arcsin(random.uniform(np.sin(np.radians(-58)), np.sin(np.radians(61)), 150_000)))
    points, tiles = tree.query(
        shapely.points(random.uniform(-180, 180, 150_000), lat), predicate="intersects"
    )
    dates = pd.Series(frame.datatake.to_numpy()[tiles]).groupby(points).nunique()
    assert (dates > 1).mean() == pytest.approx(0.17, abs=0.06)


def test_some_tiles_have_many_neighbours(frame):
    tree = shapely.STRtree(frame.geometry.values)
    a, b = tree.query(frame.geometry.values, predicate="intersects")
    takes = frame.datatake.to_numpy()
    degree = np.bincount(a[takes[a] != takes[b]], minlength=len(frame))
    assert (degree > 30).sum() > 10
    assert (degree == 0).mean() > 0.4
