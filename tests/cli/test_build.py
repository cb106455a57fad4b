import errno
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from spectralearth_build import pipeline
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.lock import alone
from spectralearth_build.tables import PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

pytestmark = pytest.mark.slow

INLINE = ("--scheduler", "inline")


def start(*arguments):
    """The command line in a process of its own, its output in a pipe."""
    command = [sys.executable, "-m", "spectralearth_build", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process, text):
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"'{text}' never came")


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_building_again_does_nothing_and_says_so(call, archive, built):
    before = times(built)
    done = call("build", archive, built, *INLINE)
    assert done.exit_code == 0
    assert times(built) == before
    for stage in ("scan", "plan", "cut", "verify"):
        assert [x for x in done.output.splitlines() if f"Z {stage}" in x and "nothing to do" in x]
    assert "cut: nothing to do, 2 patches are there" in done.output


def test_what_a_build_tells(built):
    output = (built.parent / "output.txt").read_text(encoding="utf-8")
    for part in (
        "scan: 2 products: 2 sound",
        "plan: 2 patches at 1 location from 2 tiles in 1 component",
        "plan: locations by number of dates: 1 with 2",
        "memory per worker",
        "cut: 2 tiles cut; the dataset has 2 patches",
        "verify: everything is sound and equals its source pixels",
        f"report: {built / 'report.html'}",
    ):
        assert part in output
    assert output.index("memory per worker") < output.index("cut: 0 of 2")


def test_the_stages_one_by_one_make_the_same_dataset(call, archive, built, tmp_path):
    dataset = tmp_path / "d"
    assert call("plan", dataset, *INLINE).exit_code == 2
    assert call("scan", archive, dataset, *INLINE).exit_code == 0
    assert call("plan", dataset, *INLINE).exit_code == 0
    assert call("cut", archive, dataset, *INLINE).exit_code == 0
    assert call("verify", dataset, "--archive", archive, *INLINE).exit_code == 0
    assert call("report", dataset).exit_code == 0
    assert tree(dataset) == tree(built)


def test_a_damaged_product_is_4_and_leaves_the_other_patches_as_they_are(call, archive, built, tmp_path):
    shutil.copytree(archive, tmp_path / "a")
    image = next(write_noise_tile(tmp_path / "a", 4).glob("*SPECTRAL_IMAGE.TIF"))
    image.write_bytes(b"")
    done = call("build", tmp_path / "a", tmp_path / "d", *INLINE)
    assert done.exit_code == 4, done.output
    tiles = TILES.read(tmp_path / "d").set_index("tile_id")
    assert tiles.error_class["DT0000000004_001"] == "EmptyFileError"
    assert PATCHES.read(tmp_path / "d").equals(PATCHES.read(built))
    shard = "store.zarr/reflectance/c.0.0.0.0"
    assert (tmp_path / "d" / shard).read_bytes() == (built / shard).read_bytes()
    assert call("build", tmp_path / "a", tmp_path / "d", *INLINE).exit_code == 4


def test_damage_is_1_and_building_again_repairs_it(call, archive, built, tmp_path):
    dataset = tmp_path / "d"
    shutil.copytree(built, dataset)
    shard = dataset / "store.zarr/reflectance/c.1.0.0.0"
    damaged = bytearray(shard.read_bytes())
    damaged[1000] ^= 1
    shard.write_bytes(damaged)
    done = call("verify", dataset, *INLINE)
    assert done.exit_code == 1
    assert "c.1.0.0.0" in done.output
    assert call("verify", dataset, "--quiet", *INLINE).exit_code == 1
    shard.unlink()
    assert call("build", archive, dataset, *INLINE).exit_code == 0
    assert tree(dataset) == tree(built)


def test_no_space_is_28_and_the_same_command_goes_on(call, archive, built, tmp_path, monkeypatch):
    sync, count = os.fsync, [0]

    def full(descriptor):
        count[0] += 1
        if count[0] > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = call("build", archive, tmp_path / "d", *INLINE)
    assert done.exit_code == 28
    assert "No space left" in done.stderr
    assert "run the same command again" in done.stderr
    assert call("build", archive, tmp_path / "d", *INLINE).exit_code == 0
    assert tree(tmp_path / "d") == tree(built)


def test_sigterm_is_75_and_the_same_command_goes_on(call, archive, built, tmp_path):
    arguments = ("build", archive, tmp_path / "d")
    with start(*arguments, "--workers", 1, "--set", "run.dashboard=") as first:
        read_until(first, "cut: 0 of 2")
        first.send_signal(signal.SIGTERM)
        rest = first.stdout.read()
    assert first.returncode == 75, rest
    assert "Run the same command again to continue" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "d" / "manifest.json").exists()
    done = call(*arguments, *INLINE)
    assert done.exit_code == 0, done.output
    assert "the dataset has 2 patches" in done.output
    assert tree(tmp_path / "d") == tree(built)


def test_a_killed_build_goes_on(archive, built, tmp_path, call):
    arguments = ("build", archive, tmp_path / "d", *INLINE)
    with start(*arguments) as first:
        read_until(first, "cut: 0 of 2")
        first.kill()
    assert call(*arguments).exit_code == 0
    assert tree(tmp_path / "d") == tree(built)


def test_wrong_usage_is_2(call, archive, built, tmp_path):
    assert (
        call("build", archive, built, *INLINE, "--set", "store.shard_rows=4").exit_code == 2
    )  # another plan
    assert call("build", tmp_path / "absent", tmp_path / "d").exit_code == 2
    assert call("build", archive, archive / "dataset").exit_code == 2
    assert call("build", archive, tmp_path / "d", "--scheduler", "inline", "--set", "run.no=1").exit_code == 2
    assert call("verify", tmp_path, *INLINE).exit_code == 2
    assert call("report", tmp_path).exit_code == 2
    assert not (tmp_path / "d").exists()
    with alone(built):
        done = call("build", archive, built, *INLINE)
    assert done.exit_code == 2
    assert "Another run is using the folder" in done.stderr


def test_fewer_workers_where_a_plan_needs_more_memory(call, archive, built, tmp_path, monkeypatch):
    asked = []

    @contextmanager
    def connect(config, memory_needed=0):
        asked.append(memory_needed)
        yield InlineExecutor(memory_limit=max(memory_needed, 2**20))

    monkeypatch.setattr(pipeline, "connect", connect)
    done = call("build", archive, tmp_path / "d")
    assert done.exit_code == 0, done.output
    assert "starting again with fewer workers" in done.output
    needed = pipeline.planned_memory(tmp_path / "d")
    assert asked == [0, needed]
    assert needed > 400 * 2**20
    assert call("build", archive, tmp_path / "d").exit_code == 0
    assert asked == [0, needed, needed]
    assert tree(tmp_path / "d") == tree(built)


def test_exactly_the_tiles_of_a_manifest(call, archive, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text("tile_id\nDT0000000002_001\nDT0000000009_001\n", encoding="utf-8")
    done = call("build", archive, tmp_path / "d", *INLINE, "--manifest", listed)
    assert done.exit_code == 0, done.output
    assert "DT0000000009_001" in done.output
    assert PATCHES.read(tmp_path / "d")["tile_id"].tolist() == ["DT0000000002_001"]


def test_quiet_prints_nothing(call, archive, built):
    assert call("build", archive, built, *INLINE, "--quiet").output == ""
