from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spectralearth_build.errors import PlanChangedError
from spectralearth_build.layout import shard_path
from spectralearth_build.store.commit import Commit, Skipped, decode, read_all
from spectralearth_build.store.statistics import of_patch

STATISTICS = of_patch(np.arange(202 * 4, dtype=np.int16).reshape(202, 2, 2))
COMMIT = Commit(
    "plan-a", 12, "DT0000001849_005", (192, 193), (Skipped("p3", "why"),), 5, "ab" * 32, STATISTICS
)


def plan_a(shard):
    return "plan-a"


@pytest.fixture
def dataset(tmp_path):
    path = shard_path(tmp_path, 12)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    COMMIT.write(tmp_path)
    return tmp_path


def test_the_record_on_disk(dataset):
    document = json.loads((dataset / "commits/shard-00000012.json").read_bytes())
    assert document["statistics"].pop("count") == 4
    assert {key: document[key] for key in document if key != "statistics"} == {
        "plan": "plan-a",
        "shard": 12,
        "tile_id": "DT0000001849_005",
        "rows": [192, 193],
        "skipped": [{"patch_id": "p3", "reason": "why"}],
        "bytes": 5,
        "sha256": "ab" * 32,
    }


def test_round_trip(dataset):
    assert decode(COMMIT.encode()) == COMMIT
    assert read_all(dataset, plan_a) == {12: COMMIT}


def test_a_record_without_its_shard_proves_nothing(dataset):
    shard_path(dataset, 12).write_bytes(b"1234")
    assert read_all(dataset, plan_a) == {}
    shard_path(dataset, 12).unlink()
    assert read_all(dataset, plan_a) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"plan": "plan-a"}', b"\xff"])
def test_a_damaged_record_proves_nothing(dataset, content):
    (dataset / COMMIT.name).write_bytes(content)
    assert read_all(dataset, plan_a) == {}


def test_a_record_under_another_number_proves_nothing(dataset):
    (dataset / COMMIT.name).rename(dataset / "commits/shard-00000013.json")
    assert read_all(dataset, plan_a) == {}


def test_another_plan_is_refused(dataset):
    replace(COMMIT, shard=3, plan="plan-b").write(dataset)
    with pytest.raises(PlanChangedError, match="another plan"):
        read_all(dataset, plan_a)


def test_nothing_cut_yet(tmp_path):
    assert read_all(tmp_path, plan_a) == {}
