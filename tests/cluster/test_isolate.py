import os
import signal
import threading

import pytest

from spectralearth_build.cluster import isolate
from spectralearth_build.cluster.isolate import run_alone
from spectralearth_build.cluster.task import Failure
from spectralearth_build.errors import OutOfSpaceError, StoppedError
from spectralearth_build.signals import stop_on_signals
from tests.support import worker_tasks as tasks


def test_it_runs_in_another_process_with_the_workers_environment():
    names = ["GDAL_CACHEMAX", "GDAL_PAM_ENABLED", "OMP_NUM_THREADS"]
    found = run_alone("k", tasks.environment, (names,), 60)
    assert found == {"GDAL_CACHEMAX": "64", "GDAL_PAM_ENABLED": "NO", "OMP_NUM_THREADS": "1"}
    assert os.environ.get("GDAL_CACHEMAX") is None


def test_a_crash_convicts_and_names_the_signal():
    failure = run_alone("k", tasks.crash, (signal.SIGSEGV,), 60)
    assert isinstance(failure, Failure)
    assert failure.error_class == "WorkerLostError"
    assert failure.message.count("killed by SIGSEGV") == 1  # no second try


@pytest.mark.slow
def test_being_killed_from_outside_does_not_convict(tmp_path):
    assert run_alone("k", tasks.killed_the_first_times, (str(tmp_path), 1), 60) == 1


@pytest.mark.slow
def test_a_machine_that_kills_every_time_stops_the_run_and_convicts_nobody(tmp_path):
    with pytest.raises(StoppedError, match="SIGKILL; then was killed by SIGKILL"):
        run_alone("k", tasks.killed_the_first_times, (str(tmp_path), 99), 60)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
def test_a_machine_too_busy_to_start_a_process_convicts_nobody(monkeypatch):
    monkeypatch.setattr(isolate, "_START_LIMIT", 0)
    with pytest.raises(StoppedError, match="did not come back in 0 seconds; then"):
        run_alone("k", tasks.square, (3,), 60)


@pytest.mark.slow
def test_ending_by_itself_twice_convicts(tmp_path):
    failure = run_alone("k", tasks.leave, (str(tmp_path), 7), 60)
    assert failure.error_class == "WorkerLostError"
    assert "ended with exit status 7" in failure.message
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
@pytest.mark.parametrize("step", [64, 100_000])
def test_memory_is_limited_whether_taken_in_steps_or_at_once(step):
    failure = run_alone("k", tasks.hoard, (step,), 60, 600 * 2**20)
    assert failure.error_class == ("MemoryLimitError" if step == 64 else "MemoryError")
    assert run_alone("k", tasks.square, (3,), 60, 600 * 2**20) == 9


def test_an_exception_that_does_not_come_twice_convicts_nobody(tmp_path):
    assert run_alone("k", tasks.raise_once, (str(tmp_path),), 60) == "done"


@pytest.mark.slow
def test_a_hang_ends_at_the_time_limit(tmp_path):
    failure = run_alone("k", tasks.note_and_sleep, (str(tmp_path), 3600), 2)
    assert isinstance(failure, Failure)
    assert failure.error_class == "TimeLimitError"
    assert "did not come back in 2 seconds" in failure.message
    process = int(next(tmp_path.iterdir()).name.split("-")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.slow
def test_failures_and_errors_come_through():
    failure = run_alone("k", tasks.broken_product, ("x",), 60)
    assert isinstance(failure, Failure)
    assert failure.error_class == "EmptyFileError"
    with pytest.raises(OutOfSpaceError):
        run_alone("k", tasks.full, ("x",), 60)


@pytest.mark.slow
def test_a_signal_stops_the_wait(tmp_path):
    with stop_on_signals():
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(StoppedError):
            run_alone("k", tasks.note_and_sleep, (str(tmp_path), 3600), 3600)
