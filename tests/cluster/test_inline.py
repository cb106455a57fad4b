import os
import signal
import subprocess
import sys

import pytest

from spectralearth_build.cluster import Failure, connect, stop_on_signals
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import OutOfSpaceError, StoppedError
from tests.support import worker_tasks as tasks


@pytest.fixture
def executor():
    with connect(RunConfig(scheduler="inline")) as executor:
        yield executor


def test_tasks_run_in_order_and_failures_do_not_stop_them(executor):
    work = {"b": ("square", 3), "a": ("bug",), "c": ("square", 4)}
    outcomes = list(executor.run("scan", tasks.call, work))
    assert [key for key, _ in outcomes] == ["b", "a", "c"]
    assert outcomes[0][1] == 9
    assert isinstance(outcomes[1][1], Failure)
    assert outcomes[2][1] == 16


def test_no_space_stops_at_once(executor):
    outcomes = executor.run("cut", tasks.call, {"a": ("square", 1), "b": ("full", "x"), "c": ("bug",)})
    assert next(outcomes) == ("a", 1)
    with pytest.raises(OutOfSpaceError):
        next(outcomes)


def test_a_signal_stops_between_tasks(executor):
    outcomes = executor.run("cut", tasks.square, {"a": (1,), "b": (2,)})
    with stop_on_signals():
        assert next(outcomes) == ("a", 1)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError):
            next(outcomes)


def test_what_needs_no_cluster_does_not_load_dask():
    program = "import sys, spectralearth_build.cluster.inline; assert 'distributed' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
