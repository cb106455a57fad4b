"""What a run writes into its log, and what is read back from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spectralearth_build import build_dataset, build_status, progress
from spectralearth_build.cluster import Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.recorded import measured, with_log
from spectralearth_build.errors import ProductError, StoppedError, UsageError
from spectralearth_build.layout import log_files, log_name
from spectralearth_build.runlog import writing
from spectralearth_build.runlog.reading import SILENT, events, read_run, spans
from spectralearth_build.runlog.status import document, status_of, told
from spectralearth_build.runlog.writing import RunLog, recorded
from tests.support.small_archive import CHOSEN, write_noise_tile


def halve(number):
    if number % 2:
        raise ProductError("odd")
    return number // 2


def run(dataset, numbers, stage="cut"):
    tasks = {f"t{number}": (number,) for number in numbers}
    return dict(with_log(InlineExecutor()).run(stage, halve, tasks))


def end_with(error, dataset, numbers):
    with recorded(dataset, "cut"):
        run(dataset, numbers)
        raise error


def only_log(dataset):
    (path,) = log_files(dataset)
    return path


def test_every_task_is_recorded_with_its_outcome(tmp_path):
    with recorded(tmp_path, "build"):
        results = run(tmp_path, range(6))
        progress.say("half of them are odd")
    assert {key: r for key, r in results.items() if not isinstance(r, Failure)} == {"t0": 0, "t2": 1, "t4": 2}
    assert sum(isinstance(r, Failure) for r in results.values()) == 3
    record = read_run(only_log(tmp_path))
    (stage,) = record.stages
    assert (record.verb, record.host, record.pid) == ("build", socket.gethostname(), os.getpid())
    assert (stage.name, stage.tasks, stage.done, stage.over) == ("cut", 6, 3, 6)
    assert stage.failures == {"ProductError": ["t1", "t3", "t5"]}
    assert record.ended is not None
    assert stage.ended is not None
    assert record.began <= stage.began <= stage.ended <= record.ended
    assert (record.error, record.message) == ("", "half of them are odd")
    assert [span.task for _, span in spans(record.path)] == ["t0", "t2", "t4"]
    assert all(event["time"].endswith("Z") for event in events(record.path))


def test_without_a_run_nothing_is_wrapped():
    executor = InlineExecutor()
    assert with_log(executor) is executor


def test_a_run_without_tasks_leaves_no_file(tmp_path):
    with pytest.raises(UsageError):
        end_with(UsageError("refused"), tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's counts are read from /proc")
def test_what_a_task_takes_is_measured(tmp_path):
    big = tmp_path / "big"
    big.write_bytes(bytes(3 << 20))

    def work():
        (tmp_path / "out").write_bytes(big.read_bytes()[: 1 << 20])
        time.sleep(0.2)

    found = measured(work)
    assert found.seconds >= 0.2
    assert 3 << 20 <= found.read < (3 << 20) + 100_000
    assert 1 << 20 <= found.written < (1 << 20) + 100_000
    assert found.memory > 10 << 20


def test_how_a_run_ended_is_told(tmp_path):
    with pytest.raises(StoppedError):
        end_with(StoppedError("by a signal"), tmp_path, [2])
    status = status_of(tmp_path)
    assert status.state == "stopped"
    assert "the same command goes on" in "\n".join(told(status))


def test_a_disk_that_refuses_the_log_does_not_stop_the_run(tmp_path, capsys):
    (tmp_path / "work").write_text("a file where the folder should be")
    with recorded(tmp_path, "build"):
        assert run(tmp_path, [2, 4]) == {"t2": 1, "t4": 2}
        run(tmp_path, [6])
    said = [x for x in capsys.readouterr().out.splitlines() if "event log ends here" in x]
    assert len(said) == 1
    assert str(tmp_path / log_name("x").rpartition("/")[0]) in said[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_does_not_stop_the_run(tmp_path, capsys):
    with recorded(tmp_path, "build"):
        log = writing.current()
        (tmp_path / "work/logs").mkdir(parents=True)
        log.path.symlink_to("/dev/full")
        assert run(tmp_path, [2, 4]) == {"t2": 1, "t4": 2}
    assert "No space left" in capsys.readouterr().out


DYING = """
import os, sys
from pathlib import Path
from spectralearth_build.runlog.writing import current, recorded
with recorded(Path(sys.argv[1]), "build"):
    log = current()
    log.open()
    log.record("stage", stage="cut", tasks=10, workers=2)
    for n in range(4):
        log.record("task", stage="cut", task=f"t{n}", worker="w:1", began=f"2026-01-01T00:00:0{n}.000Z",
                   seconds=1.0, read=None, written=None, memory=1)
    os._exit(9)
"""


def test_a_run_that_died_is_known_and_a_torn_line_is_passed_over(tmp_path):
    subprocess.run([sys.executable, "-c", DYING, tmp_path], check=False)
    with only_log(tmp_path).open("ab") as file:
        file.write(b'{"time": "2026-01-01T00:00:09.000Z", "event": "ta')
    status = status_of(tmp_path)
    assert status.state == "died"
    (stage,) = status.run.stages
    assert (stage.done, stage.tasks, stage.ended) == (4, 10, None)
    lines = list(told(status))
    assert lines[0] == "dataset: no plan yet"
    assert "its process has died" in lines[1]
    assert lines[2].startswith("cut: 4 of 10 in ")
    assert not [line for line in lines if "left at" in line]


def elsewhere(folder, silent=0.0, began=1000.0, step=10.0, workers=2, tasks=50, over=20):
    """A log of another machine: a task ends every ``step`` seconds."""
    log = RunLog(folder / log_name("20260101T000000-build-7"))
    log.open()
    log.close()
    lines = [{"time": writing.stamp(began), "event": "run", "verb": "build", "version": "1", "host": "far"}]
    lines[0]["pid"] = 7
    lines.append({"event": "stage", "stage": "cut", "tasks": tasks, "workers": workers})
    lines[-1]["time"] = writing.stamp(began)
    lines += [
        {"time": writing.stamp(began + step * (n + 1)), "event": "task", "stage": "cut", "task": f"t{n}",
         "worker": f"far:{n % workers}", "began": writing.stamp(began + step * n), "seconds": step,
         "read": 5, "written": 3, "memory": 100 + n}
        for n in range(over)
    ]  # fmt: skip
    log.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    now = began + step * over
    os.utime(log.path, (now - silent, now - silent))
    return now


def test_what_is_left_is_estimated_from_the_rate(tmp_path):
    now = elsewhere(tmp_path)
    status = status_of(tmp_path, now)
    assert status.state == "running"
    (stage,) = status.run.stages
    assert stage.rate() == pytest.approx(0.1)
    assert stage.left() == pytest.approx(300)
    assert (stage.read, stage.written, stage.memory, stage.busy) == (100, 60, 119, 200)
    # 1970-01-01 00:20:00 is 1200 s; 30 tasks of 10 s are left.
    assert "cut: 30 left at 6.0 a minute: done at about 1970-01-01 00:25:00 UTC" in list(told(status, now))
    assert document(status)["run"]["stages"][0]["seconds_left"] == pytest.approx(300)


def test_events_of_another_version_are_passed_over(tmp_path):
    now = elsewhere(tmp_path)
    with only_log(tmp_path).open("a") as file:
        for event in (
            {"event": "task", "stage": "cut"},
            {"event": "stage"},
            {"event": "new"},
            {"event": "end"},
        ):
            file.write(json.dumps({"time": writing.stamp(now)} | event) + "\n")
        file.write('{"time": "soon", "event": "message", "text": "x"}\n[1]\n')
    status = status_of(tmp_path, now)
    assert len(status.run.stages) == 1
    assert len(list(spans(status.run.path))) == 20


def test_a_run_elsewhere_that_is_silent_is_told(tmp_path):
    now = elsewhere(tmp_path, silent=SILENT + 1)
    assert status_of(tmp_path, now).state == "silent"


def test_the_present_rate_is_that_of_the_latest_tasks(tmp_path):
    """A thousand quick tasks, then slow ones: what is left goes on slowly."""
    elsewhere(tmp_path, step=0.01, tasks=2000, over=1000)
    path = only_log(tmp_path)
    with path.open("a") as file:
        for n in range(150):
            event = {"event": "failure", "stage": "cut", "task": f"u{n}", "error": "E", "message": ""}
            file.write(json.dumps({"time": writing.stamp(1010 + 2.0 * n)} | event) + "\n")
    (stage,) = read_run(path).stages
    assert stage.rate() == pytest.approx(0.5, rel=0.02)


def test_signs_of_life_come_without_events(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BEAT", 0.05)
    log = RunLog(tmp_path / log_name("x"))
    log.open()
    os.utime(log.path, (0, 0))
    limit = time.monotonic() + 20
    while log.path.stat().st_mtime == 0 and time.monotonic() < limit:
        time.sleep(0.05)
    log.close()
    assert time.time() - log.path.stat().st_mtime < 60


def test_nothing_found_is_refused(tmp_path):
    with pytest.raises(UsageError, match="neither a plan nor the log"):
        status_of(tmp_path)


@pytest.mark.slow
def test_a_build_is_followed_from_its_files(tmp_path):
    for number, shift in enumerate([(0, 0), (3, 5)], 1):
        write_noise_tile(tmp_path / "a", number, shift)
    build_dataset(tmp_path / "a", tmp_path / "d", CHOSEN)
    status = build_status(tmp_path / "d")
    assert (status.state, status.published) == ("done", True)
    assert (status.planned_patches, status.planned_shards, status.committed_shards) == (2, 2, 2)
    assert [(s.name, s.over, s.tasks) for s in status.run.stages] == [
        ("scan", 2, 2), ("plan", 1, 1), ("cut", 2, 2), ("verify", 2, 2)
    ]  # fmt: skip
    before = sorted((tmp_path / "d").rglob("*"))
    build_dataset(tmp_path / "a", tmp_path / "d", CHOSEN)
    assert sorted((tmp_path / "d").rglob("*")) == before  # nothing to do, so no log
