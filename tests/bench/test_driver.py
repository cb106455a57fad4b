"""The simulated dataset is consistent, and every step of the benchmark does what it says."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from spectralearth_build.bench.driving import driver
from spectralearth_build.bench.driving.simulated import SHARD_ROWS, simulate
from spectralearth_build.checking.audit import audit
from spectralearth_build.publishing.publish import publish
from spectralearth_build.store.planned import load_plan


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("driver") / "d", 400)


def test_a_simulated_dataset_is_a_real_one(dataset):
    planned = load_plan(dataset)
    assert (len(planned.live), planned.shards, planned.shard_rows) == (372, 6, SHARD_ROWS)
    assert publish(dataset).written == 372
    again = load_plan(dataset)
    assert audit(again.folders, SHARD_ROWS) == []
    assert again.locations["n"].value_counts().to_dict() == {1: 124, 2: 124}
    assert simulate(dataset, 400) == dataset


def test_each_step(dataset):
    """In one test: each step needs what the steps before it wrote."""
    expected = {
        "make 1,000 tasks": driver.ASKED, "name patches of missing shards": 62, "verify tables": 0, "open": 1,
    }  # fmt: skip
    for step in driver.STEPS:
        found = driver.run(dataset, step)
        assert found["seconds"] > 0, step
        assert found["peak_mb"] > 0, step
        assert found["count"] == expected.get(step, 372) or step == "open and query a region", step


@pytest.mark.slow
def test_one_command_measures_all(tmp_path):
    command = [sys.executable, "-m", "spectralearth_build.bench.driving", "200", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = pd.read_parquet(tmp_path / "bench-driver.parquet")
    assert table["step"].tolist() == list(driver.STEPS)
    assert [path.name for path in tmp_path.iterdir()] == ["bench-driver.parquet"]
    assert "publish again" in done.stdout + done.stderr
