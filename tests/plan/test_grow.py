"""Growing plans: what is there stays, new dates join, and nothing overlaps, whatever comes in whatever order."""

import json
import shutil
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from spectralearth_build import config
from spectralearth_build.archive import mask as masks
from spectralearth_build.archive.mask import VALID
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import PlanChangedError, UsageError
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import WINDOW, Box
from spectralearth_build.plan import tasks
from spectralearth_build.plan.planner import plan
from spectralearth_build.tables import ALL, LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

EPSG, LINE, COL = 32632, -170_000, 16_600
STAYS = ["patch_id", "location_id", "tile_id", "datatake", "store_row", "shard", "generation"]


def tile(datatake, line, col, shape=(300, 300), number=1, **fields):
    box = Box(LINE + line, COL + col, *shape)
    name = f"DT{datatake:010d}"
    return {
        "product_id": f"ENMAP01-____L2A-{name}_20230101T000000Z_{number:03d}_V010402_20230102T000000Z",
        "tile_id": f"{name}_{number:03d}",
        "datatake": name,
        "tile": number,
        "acquired": pd.Timestamp("2023-01-01", tz="UTC") + pd.Timedelta(days=datatake),
        "epsg": EPSG,
        "lattice_col": box.col,
        "lattice_row": -box.line,
        "height": box.height,
        "width": box.width,
        "status": "unused",
        "eligible": True,
        "fingerprint": f"f{datatake}_{number}",
        "mask": "",
        "sun_elevation": 40.0,
        "overall_quality": 0,
        "geometry": to_lonlat(shapely.box(*box.bounds), EPSG),
        **fields,
    }


class Folder:
    """A dataset that is planned, and whose every plan counts as begun to be cut."""

    def __init__(self, path: Path, **overrides) -> None:
        self.path, self.rows, self.overrides = path, [], {"store.shard_rows": 2, **overrides}
        (path / "commits").mkdir(parents=True)

    def add(self, *rows, **overrides):
        """Plan with more tiles; a tile that is there already is replaced."""
        names = {row["tile_id"] for row in rows}
        self.rows = [row for row in self.rows if row["tile_id"] not in names] + list(rows)
        TILES.write(TILES.frame(self.rows), self.path)
        done = plan(self.path, config.load(None, {**self.overrides, **overrides}), InlineExecutor())
        (self.path / "commits" / "shard-00000000.json").write_text("{}")
        return done

    def tree(self):
        return {p.name: p.read_bytes() for p in self.path.iterdir() if p.is_file()}

    @property
    def patches(self):
        return PATCHES.read(self.path)

    @property
    def locations(self):
        return LOCATIONS.read(self.path)

    @property
    def generations(self):
        return json.loads((self.path / "plan.json").read_text())["generations"]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "dataset")


def series(patches):
    """The dates of each location."""
    live = patches[patches["status"] != "retired"]
    assert live["patch_id"].is_unique
    return {name: set(dates) for name, dates in live.groupby("location_id")["datatake"]}


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


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_growing_in_steps(steps):
    count = 0
    rows = []
    with TemporaryDirectory() as place:
        grown = Folder(Path(place) / "d")
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
    assert done.generations[1]["locations"] == len(new)
    assert done.generations[1]["series"] == 0
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


REFUSED = {
    "gone": ("tiles gone: DT0000000001_001", lambda f: f.rows.pop(0)),
    "changed": ("tiles changed: DT0000000001_001", lambda f: f.rows[0].update(fingerprint="x")),
    "settings": (r"plan\.min_dates: 1 -> 2", lambda f: f.overrides.update({"plan.min_dates": 2})),
    "version": (
        r"tiles of another version: DT0000000001_001.*plan\.replace_versions = true",
        lambda f: f.rows[0].update(product_id="newer"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_else_changed_is_refused(folder, case):
    message, change = REFUSED[case]
    folder.add(tile(1, 0, 0), tile(2, 10, 10))
    before = folder.tree()
    del before["tiles.parquet"]
    change(folder)
    with pytest.raises(PlanChangedError, match=message):
        folder.add(tile(3, 20, 20))
    after = folder.tree()
    del after["tiles.parquet"]
    assert after == before


def newer(row, **fields):
    return {
        **row,
        "product_id": row["product_id"].replace("V010402", "V010502"),
        "fingerprint": "new",
        **fields,
    }


def test_a_newer_version_replaces_on_request(folder):
    old = tile(1, 0, 0, shape=(300, 128))
    folder.add(old, tile(2, 0, 0, shape=(300, 128)))
    before = folder.patches
    folder.add(newer(old), **{"plan.replace_versions": True})
    after = folder.patches
    assert folder.locations["n"].tolist() == [2, 2]
    head = after.head(len(before))
    assert head[STAYS].equals(before[STAYS])
    retired = head["tile_id"] == old["tile_id"]
    assert head["status"].tolist() == ["retired" if gone else "planned" for gone in retired]
    assert head.loc[retired, "reason"].str.contains("V010502").all()
    again = after[len(before) :]
    assert sorted(again["patch_id"]) == sorted(before.loc[retired, "patch_id"])
    assert folder.generations[1]["replaced_tiles"] == [old["tile_id"]]
    assert folder.generations[1]["retired"] == 2
    assert not folder.add().fresh  # without the request, too


def test_windows_that_the_newer_version_does_not_have(folder):
    old = tile(1, 0, 0, shape=(256, 128))
    folder.add(old, tile(2, 0, 0, shape=(256, 128)))
    short = Box(LINE, COL, 128, 128)
    shrunk = newer(old, height=128, geometry=to_lonlat(shapely.box(*short.bounds), EPSG))
    folder.add(shrunk, **{"plan.replace_versions": True})
    assert sorted(folder.locations["n"]) == [1, 2]
    reasons = folder.patches.loc[folder.patches["status"] == "retired", "reason"]
    assert reasons.str.startswith("No clear window in").tolist().count(True) == 1
    assert set(folder.locations["component"]) == {0}


def test_a_patch_is_cut_again_if_any_of_its_sources_is_replaced(folder):
    upper, lower = tile(1, 0, 0, shape=(100, 128)), tile(1, 80, 0, shape=(100, 128), number=2)
    folder.add(upper, lower)
    assert [list(s) for s in folder.patches["sources"]] == [[upper["tile_id"], lower["tile_id"]]]
    folder.add(newer(lower), **{"plan.replace_versions": True})
    assert folder.patches["status"].tolist() == ["retired", "planned"]
    assert folder.patches["tile_id"].tolist() == [upper["tile_id"]] * 2


def test_masks_that_are_gone(folder):
    whole = np.full((300, 300), VALID, np.uint8)
    rows = [tile(n, 0, 0, mask=f"work/masks/{n}.mask") for n in (1, 2)]
    for row in rows:
        masks.save(folder.path / row["mask"], whole)
    folder.add(rows[0])
    (folder.path / rows[0]["mask"]).unlink()
    with pytest.raises(UsageError, match=r"1 masks.*masks/1\.mask.*Run `scan`"):
        folder.add(rows[1])
    folder.rows = folder.rows[:1]
    folder.add(tile(3, 5000, 0))  # does not touch it


class Crash(BaseException):
    """Nothing in the code can catch it."""


@pytest.mark.parametrize("point", range(1, 14, 2))
def test_a_crash_at_any_point_is_recovered(folder, tmp_path, monkeypatch, point):
    """Six files are completed, then their list, then they are moved: 13 renames, a crash before one of them."""
    folder.add(tile(1, 0, 0), tile(2, 5000, 0))
    before = folder.tree()
    shutil.copytree(folder.path, tmp_path / "straight")
    straight = copy(folder)
    straight.path = tmp_path / "straight"
    straight.add(tile(3, 10, 10))
    real, count = Path.replace, 0

    def crashing(self, target):
        nonlocal count
        count += "pending" in self.parts
        if count == point:
            raise Crash
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crashing)
        with pytest.raises(Crash):
            folder.add(tile(3, 10, 10))
    if point <= 7:
        assert {**folder.tree(), "tiles.parquet": b""} == {**before, "tiles.parquet": b""}
    done = plan(folder.path, config.load(None, folder.overrides), InlineExecutor())
    assert done.fresh == (point <= 7)
    assert folder.tree() == straight.tree()
    assert not (folder.path / "work" / "pending").exists()


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
    for table in ALL:
        frame = table.read(folder.path)
        assert list(frame) == [column.name for column in table.columns]
