from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.publishing.committed import joined
from spectralearth_build.publishing.final_status import FINAL, FinalStatus, given_up
from spectralearth_build.store.commit import Skipped, read_all
from spectralearth_build.store.failed_tiles import FailedTile
from spectralearth_build.store.planned import load_plan
from spectralearth_build.tables import TILES
from tests.support.files import tree
from tests.support.store_study import A1, A2, A3, B1, PLAN_ID

NOTE = FailedTile(PLAN_ID, B1, "HoleError", "a hole", "stamp")


@pytest.fixture(scope="module")
def plan(planned_study):
    return load_plan(planned_study.dataset)


@pytest.fixture(scope="module")
def commits(finished_study):
    return read_all(finished_study.dataset, lambda _: PLAN_ID)


@pytest.fixture
def final_tables(tmp_path):
    """Writes the final tables and reads them."""

    def written(plan, commits, failed):
        found = joined(((each, each.encode()) for each in commits.values()), lambda commit: commit.statistics)
        status = FinalStatus(plan, found, failed)
        return {table.file: table.read(status.write(table, tmp_path).parent) for table in FINAL}

    return written


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


def test_a_tile_that_failed_half_way_keeps_what_was_committed(plan, commits, final_tables):
    tables = final_tables(plan, without(commits, 4), {B1: NOTE})
    patches = tables["patches.parquet"].set_index("store_row")
    assert patches["status"].to_dict() == {row: "skipped" if row == 8 else "written" for row in patches.index}
    assert patches["reason"][8] == f"{B1} failed: HoleError"
    assert statuses(tables) == {
        A1: "used", A2: "used", A3: "used", B1: "quarantined", "DT0000000009_001": "quarantined",
    }  # fmt: skip


def test_skipped_patches_count_nowhere(plan, commits, final_tables):
    patch = plan.patches.set_index("store_row")["patch_id"][2]
    emptied = commits | {1: replace(commits[1], rows=(), skipped=(Skipped(patch, "why"),))}
    tables = final_tables(plan, emptied, {})
    assert tables["patches.parquet"].set_index("store_row").loc[2, ["status", "reason"]].tolist() == [
        "skipped",
        "why",
    ]
    assert tables["locations.parquet"]["n"].sum() == 7
    assert statuses(tables)[A2] == "unused"


def test_the_plan_itself_is_left_alone(plan, planned_study, commits, final_tables):
    before = tree(planned_study.dataset)
    final_tables(plan, commits, {})
    assert tree(planned_study.dataset) == before


def test_a_failure_that_was_mended_leaves_no_trace(commits, planned, final_tables):
    failed = final_tables(load_plan(planned.dataset), without(commits, 3, 4), {B1: NOTE})["tiles.parquet"]
    assert failed.set_index("tile_id")["status"][B1] == "quarantined"
    TILES.write(failed, planned.dataset)
    tiles = final_tables(load_plan(planned.dataset), commits, {})["tiles.parquet"].set_index("tile_id")
    assert tiles.loc[B1, ["status", "reason", "error_class"]].tolist() == ["used", "", ""]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_row_groups_does_not_matter(plan, commits, final_tables, monkeypatch, size):
    """Tables in pieces say what they say at once; null and empty text are the same."""
    at_once = final_tables(plan, without(commits, 4), {B1: NOTE})
    monkeypatch.setattr("spectralearth_build.columns.ROW_GROUP", size)
    in_pieces = final_tables(plan, without(commits, 4), {B1: NOTE})
    for name, table in at_once.items():
        pd.testing.assert_frame_equal(pd.DataFrame(in_pieces[name]), pd.DataFrame(table))


def test_a_table_stays_if_it_says_everything(plan, commits, finished_study, final_tables):
    def there(dataset, of, failed):
        found = joined(((each, each.encode()) for each in of.values()), lambda commit: commit.statistics)
        status = FinalStatus(load_plan(dataset), found, failed)
        return [status.is_there(table) for table in FINAL]

    assert there(finished_study.dataset, commits, {}) == [True, True, True]
    assert there(finished_study.dataset, without(commits, 4), {B1: NOTE}) == [False, False, False]
    only_checksums = {shard: replace(commit, pixels=()) for shard, commit in commits.items()}
    assert there(finished_study.dataset, only_checksums, {}) == [True, True, False]
