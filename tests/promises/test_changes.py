"""P9, P10: what changed between two runs is named and refused; of two runs on one dataset one waits outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.errors import PlanChangedError, UsageError
from spectralearth_build.layout import LOCK
from spectralearth_build.lock import alone
from spectralearth_build.pipeline import Run
from tests.support import no_locks
from tests.support.files import tree
from tests.support.small_archive import CONFIG, image_of, run_stages, spec_of, write_tile


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changes")
    for number in (1, 2):
        write_tile(folder / "archive", number)
    run_stages(folder / "archive", folder / "d")
    return folder


@pytest.fixture
def own(made, tmp_path):
    return shutil.copytree(made, tmp_path / "own")


def refused(folder, config=CONFIG):
    """Run; what it complains about. Nothing is touched."""
    before = tree(folder / "d")
    with pytest.raises(PlanChangedError) as caught:
        run_stages(folder / "archive", folder / "d", config=config)
    after = tree(folder / "d")
    assert after == before
    assert verify(folder / "d") == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("store.codec", "fast", 'store.codec: was "spectral", is "fast"'),
        ("store.shard_rows", 4, "store.shard_rows: was 1, is 4"),
        ("quality.max_cloud", 0.5, "quality.max_cloud: was 0.05, is 0.5"),
        ("plan.strategy", "lattice", 'plan.strategy: was "shelves", is "lattice"'),
        ("scan.correction", "water", 'scan.correction: was "land", is "water"'),
    ],
)
def test_other_settings_are_refused_with_the_difference(own, key, value, text):
    config = load(None, {"store.shard_rows": 1, "run.check_space": False} | {key: value})
    assert text in refused(own, config)


def test_a_changed_input_is_refused_by_name(own):
    shutil.rmtree(own / "archive" / spec_of(2).product_id)
    spec = spec_of(2)
    write_tile(own / "archive", 2)
    image = image_of(own / "archive", 2)
    data = bytearray(image.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200_000] = b"\x00\x80" * 100_000  # nodata in many bands
    image.write_bytes(data)
    assert f"tiles changed: {spec.tile_id}" in refused(own)


def test_a_vanished_input_is_refused_by_name(own):
    shutil.rmtree(own / "archive" / spec_of(2).product_id)
    assert f"tiles gone: {spec_of(2).tile_id}" in refused(own)


def test_until_something_is_cut_everything_may_change(made, tmp_path):
    class Nothing(InlineExecutor):
        def run(self, stage, function, tasks):
            if stage == "cut":
                raise KeyboardInterrupt
            return super().run(stage, function, tasks)

    with pytest.raises(KeyboardInterrupt):
        run_stages(made / "archive", tmp_path / "d", Nothing())
    other = load(None, {"store.shard_rows": 4, "run.check_space": False})
    run_stages(made / "archive", tmp_path / "d", config=other)
    run_stages(made / "archive", tmp_path / "e", config=other)
    assert tree(tmp_path / "d") == tree(tmp_path / "e")


def test_of_two_builds_one_refuses_and_the_other_does_not_notice(made, tmp_path):
    """Two processes; whoever comes second ends with exit code 2, and the dataset is as ever."""
    command = [sys.executable, "-m", "spectralearth_build", "build", made / "archive", tmp_path / "d"]
    command += ["--scheduler", "inline", "--set", "store.shard_rows=1", "--set", "run.check_space=false"]
    runs = [
        subprocess.Popen(
            list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    said = [run.communicate()[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes in ([0, 2], [0, 0]), said  # 0, 0: the one had ended before the other began
    if codes == [0, 2]:
        assert any("Another run is using the folder" in text for text in said)
    found = tree(tmp_path / "d")
    del found["report.html"]
    assert found == tree(made / "d")


def test_without_a_lock_two_runs_that_cut_do_no_harm(made, tmp_path):
    """Where the file system cannot lock, they may fail on the way, and nothing is the worse for it."""
    failures: list[Exception] = []
    planning = Run(tmp_path / "d", CONFIG, InlineExecutor())
    planning.scan(made / "archive")
    planning.plan()

    class Slow(InlineExecutor):
        def run(self, stage, function, tasks):
            for key, outcome in super().run(stage, function, tasks):
                time.sleep(0.05)
                assert not isinstance(outcome, Failure), outcome
                yield key, outcome

    def build():
        try:
            run_stages(made / "archive", tmp_path / "d", Slow())
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{len(failures)} of two runs failed: {failures}")
    run_stages(made / "archive", tmp_path / "d")
    assert tree(tmp_path / "d") == tree(made / "d")


@pytest.mark.parametrize("fault", ["NFS without lockd", "locks of one machine only"])
def test_where_locks_do_not_work_a_build_is_refused_until_the_other_run_is_gone(made, tmp_path, fault):
    """Even if it is killed, on this machine."""
    dataset, start = tmp_path / "d", no_locks.runner(tmp_path, fault)
    words = [no_locks.COMMAND, "build", made / "archive", dataset, "--scheduler", "inline"]
    words += ["--set", "store.shard_rows=1", "--set", "run.check_space=false"]
    with start(no_locks.HOLD, dataset) as other:
        try:
            assert other.stdout.readline() == "held\n"
            with start(*words) as build:
                said = build.communicate()[0]
            assert build.returncode == 2, said
            assert f"process {other.pid} on" in said
            assert "is at work there" in said
            assert [path.name for path in dataset.rglob("*")] == ["work", "lock.json"]
        finally:
            other.kill()
    with start(*words) as build:
        said = build.communicate()[0]
    assert build.returncode == 0, said
    assert not (dataset / LOCK).exists()
    found = tree(dataset)
    del found["report.html"]
    assert found == tree(made / "d")


def test_the_lock_ends_with_its_process(tmp_path):
    code = "from pathlib import Path; from spectralearth_build.lock import alone\n"
    code += f"with alone(Path({str(tmp_path)!r})): print('in', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(UsageError, match="Another run"), alone(tmp_path):
            pass
        os.kill(other.pid, 9)
        other.wait()
    with alone(tmp_path):
        pass


class Crash(BaseException):
    """Nothing in the code can catch it."""


class AfterOneShard(InlineExecutor):
    """Stops in the second task of cut."""

    def run(self, stage, function, tasks):
        for number, outcome in enumerate(super().run(stage, function, tasks)):
            if stage == "cut" and number == 1:
                raise Crash
            yield outcome


def test_readers_do_not_notice_a_growth_that_stops_nor_that_its_notes_are_deleted(own, tmp_path):
    """The same tiles give the same plan again, of which something was cut already."""
    before = tree(own / "d")
    for number in (7, 10):
        write_tile(own / "archive", number)
    straight = shutil.copytree(own, tmp_path / "straight") / "d"
    run_stages(own / "archive", straight)
    with pytest.raises(Crash):
        run_stages(own / "archive", own / "d", AfterOneShard())
    after = tree(own / "d")
    assert len(after) > len(before)
    assert {name: after[name] for name in before} == before
    assert verify(own / "d") == []
    shutil.rmtree(own / "archive" / spec_of(7).product_id)
    with pytest.raises(PlanChangedError, match=spec_of(7).tile_id):
        run_stages(own / "archive", own / "d")
    assert tree(own / "d") == after
    write_tile(own / "archive", 7)
    shutil.rmtree(own / "d" / "work")
    run_stages(own / "archive", own / "d")
    assert tree(own / "d") == tree(straight)


def test_cut_says_which_tiles_scan_has_found_since_the_plan(own, capsys):
    archive, dataset = own / "archive", own / "d"
    write_tile(archive, 9)
    run = Run(dataset, CONFIG, InlineExecutor())
    run.scan(archive)
    capsys.readouterr()
    run.cut(archive)
    assert "1 tile found by scan, not in the plan yet: run `plan` and then `cut`" in capsys.readouterr().out
    run.plan()
    run.cut(archive)
    assert "not in the plan yet" not in capsys.readouterr().out
