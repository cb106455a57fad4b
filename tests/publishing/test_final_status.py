from __future__ import annotations

from dataclasses import replace

import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.publishing.final_status import final_tables, given_up
from spectralearth_build.store.commit import Skipped, read_all
from spectralearth_build.store.failed_tiles import FailedTile
from spectralearth_build.store.planned import load_plan
from tests.support.store_study import A1, A2, A3, B1, PLAN_ID

NOTE = FailedTile(PLAN_ID, B1, "HoleError", "a hole", "stamp")


@pytest.fixture(scope="module")
def plan(planned_study):
    return load_plan(planned_study.dataset)


@pytest.fixture(scope="module")
def commits(finished_study):
    return read_all(finished_study.dataset, lambda _: PLAN_ID)


def without(commits, *shards):
    return {shard: commit for shard, commit in commits.items() if shard not in shards}


def statuses(tables) -> dict[str, str]:
    tiles = tables["tiles.parquet"]
    return dict(zip(tiles["tile_id"], tiles["status"], strict=True))


def test_only_notes_of_uncut_tiles_count(plan, commits):
    assert given_up(plan, commits, {B1: NOTE}) == {}
    assert given_up(plan, without(commits, 4), {B1: NOTE}) == {B1: NOTE}
    with pytest.raises(UsageError, match="2 of 5 shards"):
        given_up(plan, without(commits, 0, 1, 4), {B1: NOTE})


def test_a_tile_that_failed_half_way_keeps_what_was_committed(plan, commits):
    tables = final_tables(plan, without(commits, 4), {B1: NOTE})
    patches = tables["patches.parquet"].set_index("store_row")
    assert patches["status"].to_dict() == {row: "skipped" if row == 8 else "written" for row in patches.index}
    assert patches["reason"][8] == f"{B1} failed: HoleError"
    assert statuses(tables) == {
        A1: "used", A2: "used", A3: "used", B1: "quarantined", "DT0000000009_001": "quarantined",
    }  # fmt: skip


def test_skipped_patches_count_nowhere(plan, commits):
    patch = plan.patches.set_index("store_row")["patch_id"][2]
    emptied = commits | {1: replace(commits[1], rows=(), skipped=(Skipped(patch, "why"),))}
    tables = final_tables(plan, emptied, {})
    assert tables["patches.parquet"].set_index("store_row").loc[2, ["status", "reason"]].tolist() == [
        "skipped",
        "why",
    ]
    assert tables["locations.parquet"]["n"].sum() == 7
    assert statuses(tables)[A2] == "unused"


def test_the_plan_itself_is_left_alone(plan, commits):
    before = plan.patches.copy()
    final_tables(plan, commits, {})
    assert plan.patches.equals(before)


def test_a_failure_that_was_mended_leaves_no_trace(plan, commits, finished_study):
    failed = final_tables(plan, without(commits, 3, 4), {B1: NOTE})
    again = load_plan(finished_study.dataset)
    vars(again)["tiles"] = failed["tiles.parquet"]
    tiles = final_tables(again, commits, {})["tiles.parquet"].set_index("tile_id")
    assert tiles.loc[B1, ["status", "reason", "error_class"]].tolist() == ["used", "", ""]
