import itertools
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import dask
import psutil
import pytest
from dask.utils import key_split

from spectralearth_build.cluster import Failure, connect, stop_on_signals
from spectralearth_build.cluster.dask_executor import AHEAD, SPARE, _StageRun
from spectralearth_build.cluster.local import Size, free_address, size_of
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, OutOfSpaceError, StoppedError
from tests.support import worker_tasks as tasks
from tests.support.processes import at_work, wait_for

GIB = 2**30


@pytest.fixture(scope="module")
def executor():
    """Two workers that have all the time they want."""
    with connect(RunConfig(workers=2, dashboard="127.0.0.1:0", task_timeout=3600)) as executor:
        yield executor


def workers_of_this_process():
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
    return found


@pytest.mark.parametrize(
    ("settings", "needed", "cores", "memory", "expected"),
    [
        ({}, 0, 8, 32 * GIB, Size(8, 4 * GIB)),
        ({}, 5 * GIB, 8, 32 * GIB, Size(6, 32 * GIB // 6)),
        ({}, 32 * GIB, 8, 32 * GIB, Size(1, 32 * GIB)),
        ({"workers": 2}, 5 * GIB, 8, 32 * GIB, Size(2, 16 * GIB)),
        ({"memory_limit": "10 GiB"}, 5 * GIB, 8, 32 * GIB, Size(3, 10 * GIB)),
        ({"memory_limit": "2 GiB", "workers": 3}, 1 * GIB, 8, 32 * GIB, Size(3, 2 * GIB)),
    ],
)
def test_workers_fit_the_machine(settings, needed, cores, memory, expected):
    assert size_of(RunConfig(**settings), needed, cores, memory) == expected


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [({}, "33.00 GiB"), ({"workers": 7}, "7 workers"), ({"memory_limit": "1 GiB"}, "1.00 GiB")],
)
def test_what_does_not_fit_is_refused_with_numbers(settings, numbers):
    needed = 33 * GIB if not settings else 5 * GIB
    with pytest.raises(ConfigError, match=numbers):
        size_of(RunConfig(**settings), needed, 8, 32 * GIB)


def test_nonsense_amounts_and_addresses_are_refused():
    with pytest.raises(ConfigError, match="four gigs"):
        size_of(RunConfig(memory_limit="four gigs"), 0, 1, GIB)
    with pytest.raises(ConfigError, match="nowhere"):
        free_address("127.0.0.1:nowhere")


def test_a_taken_port_is_avoided():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert free_address(f"127.0.0.1:{taken}") == "127.0.0.1:0"
    assert free_address(f"127.0.0.1:{taken}") == f"127.0.0.1:{taken}"


def test_nothing_listens_beyond_this_machine(executor):
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [c for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(found) >= 3
    assert {connection.laddr.ip for connection in found} == {"127.0.0.1"}


def test_tasks_run_in_two_processes_and_failures_come_back(executor):
    work = {f"DT{n:010}_001": ("process_id",) if n % 2 else ("bug",) for n in range(20)}
    outcomes = dict(executor.run("scan", tasks.call, work))
    assert set(outcomes) == set(work)
    failures = [value for value in outcomes.values() if isinstance(value, Failure)]
    assert {failure.error_class for failure in failures} == {"KeyError"}
    assert len(failures) == 10
    assert os.getpid() not in outcomes.values()


def test_workers_have_the_environment(executor):
    expected = {"GDAL_CACHEMAX": "64", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "OMP_NUM_THREADS": "1"}
    outcomes = executor.run("scan", tasks.environment, {"a": (list(expected),)})
    assert list(outcomes) == [("a", expected)]


def test_names_read_well_in_the_dashboard(executor):
    steps = executor.run("cut", tasks.note_and_sleep, {"DT0000001849_005": ("/nonexistent", 0)})
    list(steps)
    names = executor.client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))
    assert "cut" in names
    assert key_split("cut-DT0000001849_005-3f2a91bc") == "cut"


def test_few_tasks_are_under_way_at_a_time(executor):
    taken = []

    class Watched(dict):
        def items(self):
            for item in super().items():
                taken.append(item[0])
                yield item

    work = Watched({f"k{n}": (n,) for n in range(100)})
    outcomes = executor.run("scan", tasks.square, work)
    next(outcomes)
    assert len(taken) <= executor.workers + 3
    outcomes.close()
    assert dict(executor.run("scan", tasks.square, {"k1": (5,)})) == {"k1": 25}


@pytest.mark.slow
def test_no_space_stops_the_stage(executor):
    work = {f"k{n}": ("square", n) for n in range(50)} | {"full": ("full", "x")}
    ordered = dict(itertools.chain([("full", work.pop("full"))], work.items()))
    with pytest.raises(OutOfSpaceError, match="No space left"):
        list(executor.run("cut", tasks.call, ordered))


@pytest.mark.slow
def test_a_signal_stops_the_stage_at_once(executor, tmp_path):
    """Not after the tasks have slept, which takes longer than anybody waits."""

    def stop_once_a_task_runs():
        wait_for(lambda: list(tmp_path.iterdir()))
        os.kill(os.getpid(), signal.SIGTERM)

    with stop_on_signals():
        stopper = threading.Thread(target=stop_once_a_task_runs)
        stopper.start()
        with pytest.raises(StoppedError):
            list(
                executor.run("cut", tasks.note_and_sleep, {f"k{n}": (str(tmp_path), 3600) for n in range(9)})
            )
        stopper.join()
    processes = {int(path.name.split("-")[0]) for path in tmp_path.iterdir()}
    assert processes
    assert not [process for process in processes if at_work(process)]  # nothing runs on


@pytest.mark.slow
def test_only_the_culprit_is_convicted(executor, tmp_path):
    work = {f"a{n}": ("square", n) for n in range(6)}
    work |= {"segfault": ("crash",), "killed": ("killed_the_first_times", str(tmp_path), 1)}
    work |= {f"b{n}": ("square", n) for n in range(6)}
    outcomes = dict(executor.run("cut", tasks.call, work))
    failures = {key: value for key, value in outcomes.items() if isinstance(value, Failure)}
    assert list(failures) == ["segfault"]
    assert "SIGSEGV" in failures["segfault"].message
    assert outcomes["killed"] == 1
    assert [outcomes[f"b{n}"] for n in range(6)] == [n * n for n in range(6)]


@pytest.mark.slow
def test_a_task_that_hangs_is_taken_off_its_worker_and_convicted_alone(executor, tmp_path):
    """Where the workers are too busy to begin in time, the innocent are tried alone too, and acquitted."""
    impatient = replace(executor, task_timeout=4)
    work = {"hang": ("note_and_sleep", str(tmp_path), 3600), "a": ("square", 2), "b": ("square", 3)}
    outcomes = dict(impatient.run("cut", tasks.call, work))
    assert (outcomes["a"], outcomes["b"]) == (4, 9)
    assert "did not come back in 4 seconds" in outcomes["hang"].message
    assert len(list(tmp_path.iterdir())) in (1, 2)  # alone, and before that on a worker that was not too busy
    processes = {int(path.name.split("-")[0]) for path in tmp_path.iterdir()}
    assert not [process for process in processes if at_work(process)]


@pytest.mark.slow
def test_a_worker_that_is_frozen_does_not_freeze_the_run(executor):
    """Nobody answers there any more, not even to be asked what it runs."""
    (pid,) = set(dict(executor.run("scan", tasks.call, {"a": ("process_id",)})).values())
    os.kill(pid, signal.SIGSTOP)
    impatient = replace(executor, task_timeout=4)
    try:
        outcomes = dict(impatient.run("cut", tasks.call, {f"k{n}": ("square", n) for n in range(8)}))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert outcomes == {f"k{n}": n * n for n in range(8)}


def test_lack_of_memory_on_a_worker_is_tried_alone(executor, tmp_path):
    outcomes = dict(executor.run("cut", tasks.call, {"k": ("no_memory_here", str(tmp_path))}))
    processes = {int(path.name) for path in tmp_path.iterdir()}
    assert len(processes) == 2
    assert outcomes["k"] in processes


@contextmanager
def killing_the_next_worker():
    """Kill the first worker process that is born from now on, before it has registered."""
    known = {process.pid for process in psutil.Process().children()}
    killed = []

    def lurk():
        while not killed and not over.wait(0.01):
            for process in workers_of_this_process():
                if process.pid not in known and not killed:
                    process.kill()
                    killed.append(process.pid)

    over = threading.Event()
    assassin = threading.Thread(target=lurk)
    assassin.start()
    try:
        yield
        wait_for(lambda: killed)
    finally:
        over.set()
        assassin.join()


@pytest.mark.slow
def test_the_only_worker_killed_at_its_start_killed_at_its_restart_and_lost_for_good(tmp_path):
    settings = RunConfig(workers=1, dashboard="", performance_report=str(tmp_path / "new" / "report.html"))
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}))
        known = {process.pid for process in workers_of_this_process()}
        with killing_the_next_worker():
            executor = stack.enter_context(connect(settings))
        with killing_the_next_worker():
            (worker,) = [process for process in workers_of_this_process() if process.pid not in known]
            worker.kill()
        # A nanny whose worker dies before it has registered may give up: then `restore` brings another.
        wait_for(lambda: executor.restore() or executor.client.scheduler_info()["workers"])
        executor.client.retire_workers(list(executor.client.scheduler_info()["workers"]), close_workers=True)
        assert dict(executor.run("scan", tasks.square, {"a": (3,), "b": (4,)})) == {"a": 9, "b": 16}
    report = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "scan" in report
    assert "cdn.bokeh.org" not in report  # it opens without a network


def test_a_worker_that_is_gone_need_not_be_restarted(executor):
    """Distributed itself answers with KeyError."""
    gone = "tcp://127.0.0.1:1"
    with pytest.raises(KeyError):
        executor.client.restart_workers([gone], raise_for_error=False)
    _StageRun(executor, "cut", tasks.square, {}, "cut-{}")._restart([gone])
    assert dict(executor.run("cut", tasks.square, {"k": (3,)})) == {"k": 9}


def test_more_tasks_are_handed_out_the_shorter_they_are(executor):
    work = _StageRun(executor, "cut", tasks.square, {}, "cut-{}")
    assert work._limit() == 2 + SPARE
    work._ends.extend([time.monotonic()] * 50)
    assert work._limit() == 2 + 2
    many = _StageRun(replace(executor, workers=64), "cut", tasks.square, {}, "cut-{}")
    many._ends.extend([time.monotonic() - AHEAD - 1] * 9 + [time.monotonic()] * 20)
    assert many._limit() == 64 + 20


def test_workers_leave_ctrl_c_to_the_driver_also_after_a_restart(executor):
    def answers():
        return executor.client.run(signal.getsignal, signal.SIGINT, on_error="return")

    assert set(answers().values()) == {signal.SIG_IGN}
    before = set(answers())
    workers_of_this_process()[0].kill()
    wait_for(lambda: len(answers()) == 2 and set(answers()) != before)
    assert set(answers().values()) == {signal.SIG_IGN}
