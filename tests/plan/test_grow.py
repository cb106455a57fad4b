"""Growing plans: what is there stays, new dates join, and nothing overlaps, whatever comes in whatever order."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from spectralearth_build.config import PlanConfig
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import WINDOW, Box
from spectralearth_build.plan import tasks
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES
from tests.support.growing_plan import STAYS, Folder, series, tile


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "dataset")


def brute(rows, locations):
    """The datatakes whose tiles together fill each window, pixel by pixel."""
    found = {}
    for location in locations.itertuples():
        window = Box(-location.lattice_row, location.lattice_col, WINDOW, WINDOW)
        filled = {}
        for row in rows:
            seen = filled.setdefault(row["datatake"], np.zeros((WINDOW, WINDOW), bool))
            box = Box(-row["lattice_row"], row["lattice_col"], row["height"], row["width"])
            if shared := window.intersection(box):
                seen[shared.slices(window)] = True
        found[location.location_id] = {name for name, seen in filled.items() if seen.all()}
    return found


def overlapping(locations):
    points = locations[["lattice_row", "lattice_col"]].to_numpy()
    near = (np.abs(points[:, None] - points[None]) < WINDOW).all(axis=2)
    return int(near.sum()) - len(points)


PIECES = st.builds(
    tile,
    st.integers(1, 4),
    st.integers(0, 400),
    st.integers(0, 400),
    st.tuples(st.integers(120, 330), st.integers(120, 330)),
)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", get_args(PlanConfig.model_fields["strategy"].annotation))
@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.lists(PIECES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_growing_in_steps(strategy, steps):
    count = 0
    rows = []
    with TemporaryDirectory() as place:
        grown = Folder(Path(place) / "d", **{"plan.strategy": strategy})
        before = None
        for generation, step in enumerate(steps):
            new = []
            for row in step:  # of each datatake the tiles are numbered as they come
                count += 1
                new.append({**row, "tile": count, "tile_id": f"{row['datatake']}_{count:03d}"})
            rows += new
            grown.add(*new)
            patches, locations = grown.patches, grown.locations
            assert series(patches) == brute(rows, locations)
            assert overlapping(locations) == 0
            assert (
                locations["n"].tolist()
                == locations["location_id"].map(patches["location_id"].value_counts()).tolist()
            )
            assert patches["store_row"].is_unique
            assert (patches.groupby("shard")["tile_id"].nunique() == 1).all()
            assert set(patches["generation"]) <= set(range(generation + 1))
            if before is not None:
                kept = before[STAYS]
                assert patches[STAYS].head(len(kept)).equals(kept)
                later = patches[len(kept) :]
                assert (later["generation"] == generation).all()
                assert later["shard"].min() == kept["shard"].max() + 1 or later.empty or kept.empty
            before = patches
            same = (grown.path / "patches.parquet").stat().st_mtime_ns
            assert not grown.add().fresh
            assert (grown.path / "patches.parquet").stat().st_mtime_ns == same


def test_what_is_left_becomes_new_locations_as_good_as_alone(folder, tmp_path):
    """A tile apart gets what it would get in a dataset of its own, and its component follows the others."""
    folder.add(tile(1, 0, 0), tile(2, 5000, 0))
    done = folder.add(tile(3, 9000, 0), tile(4, 9010, 10))
    alone = Folder(tmp_path / "alone")
    alone.add(tile(3, 9000, 0), tile(4, 9010, 10))
    new = folder.locations[folder.locations["component"] > 1]
    assert set(new["component"]) == {2}
    assert sorted(new["location_id"]) == sorted(alone.locations["location_id"])
    assert done.generations[1].locations == len(new)
    assert done.generations[1].series == 0
    assert any("grown by 8 patches from 2 new tiles" in line for line in done.summary())


def test_only_touched_components_are_planned_again(folder, monkeypatch):
    seen = []
    real = tasks.plan_component

    def counting(tiles, *rest, **named):
        seen.append(sorted(t.tile_id for t in tiles))
        return real(tiles, *rest, **named)

    monkeypatch.setattr(tasks, "plan_component", counting)
    folder.add(tile(1, 0, 0), tile(2, 5000, 0), tile(3, 9000, 0))
    assert len(seen) == 3
    seen.clear()
    folder.add(tile(4, 5010, 10))
    assert seen == [["DT0000000002_001", "DT0000000004_001"]]


def test_components_that_merge_take_the_smallest_number(folder):
    folder.add(tile(1, 0, 0), tile(2, 300, 0), tile(3, 900, 0))
    numbers = folder.locations.set_index("location_id")["component"]
    folder.add(tile(4, 500, 0, shape=(500, 300)), tile(5, 4000, 0))
    after = folder.locations.set_index("location_id")["component"]
    assert (after[numbers.index] == numbers.min()).all()
    assert sorted(set(after)) == [numbers.min(), numbers.max() + 1]
    assert set(TUPLES.read(folder.path)["component"]) == set(after)


def test_overlaps_and_tuples_are_those_of_one_plan(folder, tmp_path):
    folder.add(tile(1, 0, 0), tile(2, 20, 30), tile(3, 5000, 0))
    folder.add(tile(4, 40, 10), tile(5, 10, 60))
    once = Folder(tmp_path / "once")
    once.add(*folder.rows)
    for table in (OVERLAPS, TUPLES):
        grown, whole = (table.read(each.path).drop(columns="component") for each in (folder, once))
        assert grown.astype(str).sort_values(list(grown)[:3]).to_numpy().tolist() == (
            whole.astype(str).sort_values(list(whole)[:3]).to_numpy().tolist()
        )


def test_a_datatake_that_a_new_tile_completes_joins(folder):
    """Its first tile sees half of the windows only; with the second its windows straddle both."""
    folder.add(tile(1, 0, 0, shape=(128, 128)), tile(2, -60, 0, shape=(100, 128)))
    assert series(folder.patches) == {folder.locations["location_id"][0]: {"DT0000000001"}}
    folder.add(tile(2, 40, 0, shape=(100, 128), number=2))
    joined = folder.patches.iloc[1]
    assert joined["datatake"] == "DT0000000002"
    assert list(joined["sources"]) == ["DT0000000002_001", "DT0000000002_002"]
    assert folder.locations["n"].tolist() == [2]


@pytest.mark.parametrize("order", [(10, 14, 17, 3), (3, 17, 14, 10), (14, 10, 3, 17)])
def test_new_dates_keep_their_distance_from_those_that_are_there(tmp_path, order):
    """At least 5 days apart: what is there stays, even where an earlier date would now go first."""
    spaced = Folder(tmp_path / "spaced", **{"plan.min_days_apart": 5})
    kept = []
    for day in order:
        spaced.add(tile(day, 0, 0, shape=(128, 128)))
        if all(abs(day - other) >= 5 for other in kept):
            kept.append(day)
        (found,) = series(spaced.patches).values()
        assert found == {f"DT{day:010d}" for day in kept}
    assert spaced.locations["n"].tolist() == [len(kept)]


def test_new_tiles_that_give_nothing_are_remembered(folder):
    folder.add(tile(1, 0, 0))
    before = folder.patches
    folder.add(tile(2, 4000, 0, shape=(60, 60)), tile(3, 0, 0, sun_elevation=0.0))
    assert folder.patches.equals(before)
    assert TILES.read(folder.path)["status"].tolist() == ["used", "unused", "rejected"]
    assert folder.generations[1] | {"id": ""} == {
        "id": "", "new_tiles": ["DT0000000002_001", "DT0000000003_001"], "replaced_tiles": [], "first_shard": 2,
        "shards": 0, "patches": 0, "retired": 0, "locations": 0, "series": 0,
    }  # fmt: skip
    assert not folder.add().fresh


def test_before_anything_was_cut_the_plan_is_made_anew(folder):
    folder.add(tile(1, 0, 0))
    (folder.path / "commits" / "shard-00000000.json").unlink()
    folder.add(tile(2, 10, 10))
    assert len(folder.generations) == 1
    assert set(folder.patches["generation"]) == {0}


def test_names_form_a_chain(folder, tmp_path):
    first = folder.add(tile(1, 0, 0))
    other = Folder(tmp_path / "other")
    other.add(tile(5, 7000, 0))
    second, elsewhere = folder.add(tile(2, 10, 10)), other.add(tile(2, 10, 10))
    assert [g["id"] for g in folder.generations] == [first.id, second.id]
    assert len({first.id, second.id, elsewhere.id}) == 3


HEIGHT, WIDTH = 300, 420


def at(lon, lat, epsg, number, shift=0):
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    box = Box(round((15 - y) / 30) - HEIGHT // 2, round((x - 15) / 30) - WIDTH // 2 + shift, HEIGHT, WIDTH)
    return tile(
        number, 0, 0, (HEIGHT, WIDTH), epsg=epsg, lattice_col=box.col, lattice_row=-box.line,
        geometry=to_lonlat(shapely.box(*box.bounds), epsg),
    )  # fmt: skip


EDGES = [(12.0, 50.0, 32632, 32633), (12.0, 50.0, 32633, 32632), (180.0, -17.0, 32760, 32701)]


@pytest.mark.parametrize(("lon", "lat", "one", "other"), EDGES)
def test_across_a_zones_edge(folder, lon, lat, one, other):
    """The second tile, in the other zone, joins the windows of both zones and places none over them."""
    first, second = at(lon, lat, one, 1, -20), at(lon, lat, other, 2, 20)
    folder.add(first)
    old = folder.locations
    assert set(old["epsg"]) == {one, other}
    folder.add(second)
    new = folder.locations
    assert new["location_id"].head(len(old)).tolist() == old["location_id"].tolist()
    assert new["n"].max() == 2
    shapes = new.geometry.to_numpy()
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    common = shapely.area(shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]]))
    assert (common / shapely.area(shapes).min()).max(initial=0) < 1e-4


def test_tables_read_back(folder):
    folder.add(tile(1, 0, 0))
    folder.add(tile(2, 10, 10))
    for table in (TILES, OVERLAPS, TUPLES, LOCATIONS, PATCHES):
        frame = table.read(folder.path)
        assert list(frame) == [column.name for column in table.columns]
