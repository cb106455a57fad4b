import shutil
from pathlib import Path

import pytest
from distributed import LocalCluster

from spectralearth_build.config import Config, load
from spectralearth_build.tables import LOCATIONS, PATCHES

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "workflows"
COMPARES = "downstream.toml"  # no configuration of a build; tests/downstream reads it
FILES = sorted(path for path in FOLDER.glob("*.toml") if path.name != COMPARES)


def test_the_readme_lists_them_all():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(FILES) >= 4
    for name in (*(path.name for path in FILES), COMPARES):
        assert f"`{name}`" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_how_to_run_it_and_differs_from_the_defaults(path):
    text = path.read_text(encoding="utf-8")
    assert f"spectralearth-build build ARCHIVE DATASET --config workflows/{path.name}" in text
    assert load(path) != Config()


@pytest.mark.parametrize("path", [p for p in FILES if p.stem != "dask_cluster"], ids=lambda path: path.stem)
def test_each_builds_a_dataset(path, archive, tmp_path, call):
    options = (
        ["--workers", 1, "--set", "run.dashboard="] if path.stem == "laptop" else ["--scheduler", "inline"]
    )
    done = call("build", archive, tmp_path / "d", "--config", path, *options)
    assert done.exit_code == 0, done.output
    assert "verify: everything is sound" in done.output
    assert (tmp_path / "d" / "report.html").is_file()
    assert PATCHES.read(tmp_path / "d")["status"].tolist() == ["written"] * 2
    assert LOCATIONS.read(tmp_path / "d")["n"].tolist() == [2]


def test_an_existing_cluster_builds_the_same_dataset(archive, built, tmp_path, call):
    options = {"threads_per_worker": 1, "memory_limit": "2 GiB", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, host="127.0.0.1", **options) as cluster:
        where = ["--config", FOLDER / "dask_cluster.toml", "--scheduler", cluster.scheduler_address]
        done = call("build", archive, tmp_path / "d", *where, "--set", "store.shard_rows=16")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "d" / "manifest.json").read_bytes() == (built / "manifest.json").read_bytes()
    shutil.rmtree(tmp_path / "d")
