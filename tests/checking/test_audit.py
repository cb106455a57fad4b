from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from spectralearth_build import columns
from spectralearth_build.checking.audit import audit
from spectralearth_build.checking.shared_ground import sharing_ground
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.audit_of_frames import audit as audit_of_frames
from tests.support.audit_of_frames import overlapping_locations as overlapping_frames
from tests.support.store_study import A1, B1, ZONE, Study


def location(epsg: int, line: int, col: int) -> dict:
    west, north = 15 + 30 * col, 15 - 30 * line
    square = shapely.box(west, north - 3840, west + 3840, north)
    return {
        "location_id": f"{epsg}_{col}_{-line}", "epsg": epsg, "lattice_col": col, "lattice_row": -line, "n": 1,
        "component": 0, "geometry": to_lonlat(square, epsg),
    }  # fmt: skip


def frame(*windows: tuple[int, int, int]):
    return LOCATIONS.frame([location(*each) for each in windows])


def overlapping_locations(locations: pd.DataFrame) -> list[tuple[str, str]]:
    windows = locations[["epsg", "lattice_col", "lattice_row"]].to_numpy(np.int32)
    names = locations["location_id"].tolist()
    return sorted((names[i], names[j]) for i, j in sharing_ground(windows))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=8, unique=True))
def test_overlap_on_one_lattice_is_that_of_the_pixels(anchors):
    expected = {
        (min(a, b), max(a, b))
        for a in anchors
        for b in anchors
        if a != b and abs(a[0] - b[0]) < 128 and abs(a[1] - b[1]) < 128
    }
    found = overlapping_locations(frame(*((ZONE, line - 160000, col + 10000) for line, col in anchors)))
    names = {f"{ZONE}_{col + 10000}_{160000 - line}": (line, col) for line, col in anchors}
    assert {tuple(sorted(names[n] for n in pair)) for pair in found} == expected


def across(offset: int) -> list[tuple[str, str]]:
    """A window of zone 32 at its eastern edge, and one of zone 33 that begins ``offset`` pixels east of its side."""
    east, north = Transformer.from_crs(32632, 32633, always_xy=True).transform(
        15 + 30 * 24328, 15 + 30 * 166000 - 1920
    )
    col, line = round((east - 15) / 30) + offset, round((15 - north) / 30) - 64
    return overlapping_locations(frame((32632, -166000, 24200), (32633, line, col)))


@pytest.mark.parametrize(("offset", "overlap"), [(0, True), (-64, True), (3, True), (9, False), (200, False)])
def test_overlap_across_lattices(offset, overlap):
    """The lattices are turned by four degrees: windows that abut in the middle share a wedge of 4 pixels."""
    assert bool(across(offset)) == overlap


@pytest.fixture
def tables(finished_study: Study):
    return [table.read(finished_study.dataset) for table in (TILES, LOCATIONS, PATCHES)]


@pytest.fixture
def audited(tmp_path):
    """Writes the tables and checks them."""

    def run(tables) -> list:
        kinds = (TILES, LOCATIONS, PATCHES)
        for kind, table in zip(kinds, tables, strict=True):
            kind.write(table, tmp_path)
        found = audit({kind.file: tmp_path for kind in kinds}, shard_rows=2)
        assert sorted(found) == sorted(audit_of_frames(*(kind.read(tmp_path) for kind in kinds), 2))
        return found

    return run


def messages(found) -> str:
    return "\n".join(damage.message for damage in found)


def test_sound_tables(tables, audited):
    assert audited(tables) == []


def put(table: int, row: int, column: str, value: object):
    def change(tables):
        tables[table].loc[row, column] = value

    return change


def repeat(table: int, row: int, column: str):
    def change(tables):
        tables[table].loc[row, column] = tables[table].loc[0, column]

    return change


def drop(table: int, row: int):
    def change(tables):
        tables[table] = tables[table].drop(index=row).reset_index(drop=True)

    return change


def shift_geometry(tables):
    tables[1].loc[0, "geometry"] = shapely.transform(tables[1].geometry[0], lambda p: p + np.array([1e-4, 0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (repeat(0, 1, "path"), "occurs more than once in path"),
        (put(0, 1, "tile_id", A1), "occurs more than once in tile_id"),
        (put(0, 0, "status", "lost"), "has no known status"),
        (put(0, 0, "status", "unused"), f"{A1} gives pixels but is not marked as used"),
        (put(1, 0, "location_id", "32632_1_2"), "is not named after its window"),
        (put(1, 0, "lattice_col", 7), "has an outline that differs from its window"),
        (shift_geometry, "has an outline that differs from its window"),
        (put(1, 0, "n", 7), "has a wrong number of dates"),
        (put(2, 1, "patch_id", "p"), "is not named after its location and datatake"),
        (put(2, 1, "store_row", 0), "occurs more than once in store_row"),
        (put(2, 1, "store_row", 3), "has a row outside its shard"),
        (put(2, 1, "status", "planned"), "is neither written nor skipped nor retired"),
        (put(2, 1, "status", "skipped"), "is skipped or retired without a reason"),
        (put(2, 1, "tile_id", B1), "has a tile of another datatake"),
        (put(2, 1, "tile_id", B1), "shares its shard with another tile"),
        (put(2, 1, "tile_id", B1), "does not name its tile among its sources"),
        (put(2, 7, "acquired", None), "has a different time than its tile"),
        (drop(1, 0), "has an unknown location"),
        (drop(0, 0), "has an unknown tile"),
        (drop(2, 0), "has a wrong number of dates"),
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 1 << 17])
def test_every_contradiction_is_named(tables, change, message, rows, audited, monkeypatch):
    monkeypatch.setattr(columns, "ROW_GROUP", rows)
    change(tables)
    assert message in messages(audited(tables))


def test_a_retired_row_may_share_its_name_and_counts_nowhere(tables, audited):
    patches = tables[2]
    again = patches.iloc[[0]].assign(store_row=10, shard=5)
    patches.loc[0, ["status", "reason"]] = ["retired", "a newer version"]
    tables[2] = pd.concat([patches, again], ignore_index=True)
    assert audited(tables) == []
    tables[2].loc[0, "reason"] = ""
    assert "is skipped or retired without a reason" in messages(audited(tables))
    tables[2].loc[0, "status"] = "written"
    assert "occurs more than once in patch_id" in messages(audited(tables))


def test_a_used_tile_without_patches_is_named(tables, audited):
    tables[2] = tables[2][tables[2]["tile_id"] != B1].reset_index(drop=True)
    assert "is marked as used but gives no pixels" in messages(audited(tables))


def test_long_lists_are_cut_short(tables, audited):
    tables[2]["status"] = "planned"
    line = next(line for line in messages(audited(tables)).splitlines() if "neither written" in line)
    assert line.endswith("and 5 more is neither written nor skipped nor retired.")


def test_empty_tables(tables, audited):
    assert audited([table.iloc[:0] for table in tables]) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([32631, 32632, 32633, 32660, 32601, 32732]),
            st.integers(-300, 300),
            st.sampled_from([9000, 11000, 24200, 24328, 30000]),
            st.integers(-400, 400),
            st.sampled_from([100, 100_000, 166_000, 280_000]),
        ),
        max_size=12,
    )
)
def test_the_same_pairs_as_with_a_tree_of_all_windows(anchors):
    """Also at the antimeridian (zones 60 and 1), at the equator (zones 32 north and south) and near the poles."""
    windows = frame(*((epsg, line - north, col + east) for epsg, line, east, col, north in anchors))
    assert overlapping_locations(windows) == overlapping_frames(windows)
