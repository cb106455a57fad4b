from __future__ import annotations

import pickle

import pytest

from spectralearth_build.cutting.task import Tasks, task_of
from spectralearth_build.errors import UsageError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.store.planned import load_plan
from spectralearth_build.store.planned_patches import PlannedPatch
from tests.support.store_study import A1, A2, A3, B1, ZONE, window_of


@pytest.fixture(scope="module")
def plan(planned_study):
    return load_plan(planned_study.dataset)


def test_shards_by_tile(plan):
    assert plan.shards == 5
    assert plan.shards_by_tile == {A1: [0], A2: [1], A3: [2], B1: [3, 4]}


def test_a_task_holds_its_patches_and_their_sources(plan, planned_study):
    task = task_of(plan, A2, [1])
    assert (task.tile_id, task.codec, task.shard_rows) == (A2, "spectral", 2)
    window = window_of("straddling")
    name = f"{ZONE}_{window.col}_{-window.line}_DT0000000001"
    assert task.shards == {1: (PlannedPatch(name, 2, ZONE, window, (A1, A2)),)}
    assert sorted(task.sources) == [A1, A2]
    source, tile = task.sources[A1], planned_study.tiles[A1]
    assert source.box == Box(tile.spec.box.line, tile.spec.box.col, 150, 290)
    assert source.band_index == tuple(tile.band_index.tolist())
    assert source.path == tile.spec.product_id


def test_patches_come_in_order_of_their_rows(plan):
    assert [patch.row for patch in plan.live.of_shard(3)] == [6, 7]


def test_a_task_is_small_and_can_be_sent(plan, planned_study):
    tasks = Tasks(planned_study.archive, planned_study.dataset, plan, plan.shards_by_tile)
    assert list(tasks) == [A1, A2, A3, B1]
    data = pickle.dumps(tasks[A3])
    assert pickle.loads(data) == tasks[A3]
    assert len(data) < 10_000


@pytest.mark.parametrize("content", [None, b"{"])
def test_no_plan(planned, content):
    (planned.dataset / "plan.json").unlink()
    if content:
        (planned.dataset / "plan.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"no readable plan\.json"):
        load_plan(planned.dataset)
