"""Growing plans: what is refused, what newer versions replace, and what a crash leaves."""

import shutil
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import shapely

from spectralearth_build import config
from spectralearth_build import mask as masks
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import PlanChangedError, UsageError
from spectralearth_build.mask import VALID
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.plan.planner import plan
from tests.support.growing_plan import COL, EPSG, LINE, STAYS, Folder, tile


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "dataset")


REFUSED = {
    "gone": ("tiles gone: DT0000000001_001", lambda f: f.rows.pop(0)),
    "changed": ("tiles changed: DT0000000001_001", lambda f: f.rows[0].update(fingerprint="x")),
    "settings": (r"plan\.min_dates: was 1, is 2", lambda f: f.overrides.update({"plan.min_dates": 2})),
    "version": (
        r"tiles of another version: DT0000000001_001\n(.|\n)*plan\.replace_versions = true",
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


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_location_without_dates_keeps_its_place(folder, meanwhile):
    """A version without any window leaves locations on no tile; whatever comes there joins them, and places around."""
    folder.overrides["plan.replace_versions"] = True
    first, other = tile(1, 0, 0), tile(2, -60, -60, shape=(400, 400))
    folder.add(first)
    old = folder.locations
    folder.add(newer(first, sun_elevation=0.0))
    assert set(folder.locations["n"]) == {0}
    back = newer(first, product_id="third", fingerprint="third")
    for row in (other, back) if meanwhile else (back, other):
        folder.add(row)
    locations = folder.locations
    assert locations["location_id"].head(len(old)).tolist() == old["location_id"].tolist()
    assert (locations["n"].head(len(old)) == 2).all()
    assert set(locations["component"]) == {0}
    anchors = locations[["lattice_row", "lattice_col"]].to_numpy()
    assert (np.abs(anchors[:, None] - anchors[None]) < 128).all(axis=2).sum() == len(anchors)


def test_a_location_loses_its_dates_while_others_come(folder):
    """The version that has no window comes together with a tile of another datatake on the same ground."""
    folder.overrides["plan.replace_versions"] = True
    first = tile(1, 0, 0)
    folder.add(first)
    old = folder.locations
    folder.add(newer(first, sun_elevation=0.0), tile(2, -60, -60, shape=(400, 400)))
    locations = folder.locations
    assert locations["location_id"].head(len(old)).tolist() == old["location_id"].tolist()
    assert (locations["n"].head(len(old)) == 1).all()
    anchors = locations[["lattice_row", "lattice_col"]].to_numpy()
    assert (np.abs(anchors[:, None] - anchors[None]) < 128).all(axis=2).sum() == len(anchors)


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
    with pytest.raises(UsageError, match=r"1 mask .*masks/1\.mask.*Run `scan`"):
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
    folder.take_over()
    assert folder.tree() == straight.tree()
    assert not (folder.path / "work" / "pending").exists()
