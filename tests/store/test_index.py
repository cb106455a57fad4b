from __future__ import annotations

import os

import numpy as np
import pytest
import rtree.index
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from spectralearth_build.errors import UsageError
from spectralearth_build.store import index as module
from spectralearth_build.store.index import boxes, encode_index, holds, opened_index, write_index
from tests.support.rtree_query import query_index, search

DEGREES = st.integers(-180, 180)


def write(folder, geometries):
    for name, data in encode_index(boxes([shapely.to_wkb(geometries)])).items():
        (folder / name).write_bytes(data)


def brute(geometries, west, south, east, north):
    def meets(b):
        return b[0] <= east and b[2] >= west and b[1] <= north and b[3] >= south

    return [
        row
        for row, geometry in enumerate(geometries)
        if any(meets(part.bounds) for part in getattr(geometry, "geoms", [geometry]))
    ]


def scattered(n, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform([-180, -80], [179.9, 83], (n, 2))
    return [box(x, y, x + 0.05, y + 0.04) for x, y in corner]


@settings(max_examples=40, deadline=None)
@given(west=DEGREES, east=DEGREES, south=st.integers(-90, 80), height=st.integers(0, 60))
def test_equals_brute_force(shared_index, west, east, south, height):
    geometries, index = shared_index
    north = min(90, south + height)
    found = search(index, (west, south, east, north)).tolist()
    if west <= east:
        assert found == brute(geometries, west, south, east, north)
    else:
        both = brute(geometries, west, south, 180, north) + brute(geometries, -180, south, east, north)
        assert found == sorted(set(both))


@pytest.fixture(scope="module")
def shared_index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    geometries = scattered(400)
    write(folder, geometries)
    with opened_index(folder) as index:
        yield geometries, index


def test_a_location_across_the_antimeridian_has_a_box_on_each_side(tmp_path):
    split = MultiPolygon([box(179.98, 10, 180, 10.03), box(-180, 10, -179.97, 10.03)])
    write(tmp_path, [box(0, 0, 1, 1), split])
    assert query_index(tmp_path, (179.9, 9, 179.99, 11)).tolist() == [1]
    assert query_index(tmp_path, (-179.99, 9, -179.9, 11)).tolist() == [1]
    assert query_index(tmp_path, (179, 9, -179, 11)).tolist() == [1]  # once
    assert query_index(tmp_path, (-10, 9, 10, 11)).tolist() == []  # not around the world


def test_same_boxes_same_bytes():
    items = list(boxes([shapely.to_wkb(scattered(3000, 1))]))
    assert encode_index(items) == encode_index(items)
    assert encode_index(items) != encode_index([(items[0][0][:-1], items[0][1][:-1])])


def test_reading_leaves_the_files_alone(tmp_path):
    write(tmp_path, scattered(50))
    for file in tmp_path.iterdir():
        os.utime(file, ns=(1, 1))
    query_index(tmp_path, (-180, -90, 180, 90))
    assert {file.stat().st_mtime_ns for file in tmp_path.iterdir()} == {1}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["locations.dat", "locations.idx"]


def test_other_tools_can_read_it(tmp_path):
    write(tmp_path, [box(0, 0, 1, 1), box(5, 5, 6, 6)])
    index = rtree.index.Index(str(tmp_path / "locations"))
    assert list(index.intersection((5.5, 5.5, 9, 9))) == [1]
    index.close()


@pytest.mark.parametrize("together", [1, 7, 1 << 21])
def test_any_other_box_is_noticed(tmp_path, monkeypatch, together):
    monkeypatch.setattr(module, "_TOGETHER", together)
    random = np.random.default_rng(3)
    corners = random.uniform(-170, 80, (300, 2))
    rows = np.sort(random.integers(0, 200, 300))
    bounds = np.concatenate([corners, corners + 1], axis=1)
    write_index(tmp_path, lambda: [(rows, bounds)])
    cuts = np.searchsorted(rows, [50, 51, 130])
    pieces = list(zip(np.split(rows, cuts), np.split(bounds, cuts), strict=True))
    assert holds(tmp_path, pieces)
    assert holds(tmp_path, [pieces[0], (rows[:0], bounds[:0]), *pieces[1:]])
    assert not holds(tmp_path, pieces[:-1])
    assert not holds(tmp_path, pieces[1:])
    assert not holds(tmp_path, [*pieces, (np.array([999]), bounds[:1])])
    for number in (0, 120, 299):
        changed = bounds.copy()
        changed[number, 3] += 1e-9
        assert not holds(tmp_path, [(rows, changed)])
        moved = rows.copy()
        moved[number] = 200
        order = np.argsort(moved, kind="stable")
        assert not holds(tmp_path, [(moved[order], bounds[order])])


def test_empty(tmp_path):
    write(tmp_path, [])
    assert query_index(tmp_path, (-180, -90, 180, 90)).tolist() == []
    write(tmp_path, [Polygon(), box(0, 0, 1, 1)])
    assert query_index(tmp_path, (-180, -90, 180, 90)).tolist() == [1]


def test_no_index(tmp_path):
    with pytest.raises(UsageError, match=r"no locations.idx"):
        query_index(tmp_path, (0, 0, 1, 1))
