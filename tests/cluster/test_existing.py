import pytest
from distributed import LocalCluster

from spectralearth_build import version
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.existing import _check_version, existing_cluster
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, StoppedError, UsageError
from tests.support import worker_tasks as tasks


@pytest.fixture
def cluster():
    options = {"threads_per_worker": 1, "memory_limit": "1 GiB", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=1, host="127.0.0.1", **options) as cluster:
        yield cluster


def test_it_runs_there_and_leaves_the_cluster_as_it_was(cluster, monkeypatch):
    settings = RunConfig(scheduler=cluster.scheduler_address)
    for _ in range(2):
        with connect(settings) as executor:
            assert executor.workers == 1
            assert executor.memory_limit == 2**30
            outcomes = dict(executor.run("scan", tasks.square, {f"k{n}": (n,) for n in range(9)}))
            assert outcomes == {f"k{n}": n * n for n in range(9)}
    with pytest.raises(ConfigError, match=r"2\.00 GiB"), connect(settings, 2 * 2**30):
        pass
    monkeypatch.setattr(version, "__version__", "0.0.1-other")
    with pytest.raises(UsageError, match="other versions"), connect(settings):
        pass


class Answering:
    """A client whose workers answer this."""

    def __init__(self, *answers):
        self.answers = dict(enumerate(answers))

    def run(self, function, on_error):
        assert on_error == "return"
        return self.answers


def test_a_worker_that_dies_when_asked_for_its_version_is_no_reason_to_end():
    here = version.__version__
    _check_version(Answering(here, OSError("closed"), here))
    with pytest.raises(UsageError, match="cannot import"):
        _check_version(Answering(OSError("closed"), ModuleNotFoundError("spectralearth_build")))
    with pytest.raises(UsageError, match="other versions"):
        _check_version(Answering(here, "0.0.1-other"))
    with pytest.raises(RuntimeError):
        _check_version(Answering(here, RuntimeError("of its own")))


@pytest.mark.slow
def test_a_cluster_that_goes_away_stops_the_run(cluster, tmp_path):
    with existing_cluster(RunConfig(scheduler=cluster.scheduler_address), patience=1) as executor:
        steps = executor.run("cut", tasks.note_and_sleep, {f"k{n}": (str(tmp_path), 1) for n in range(50)})
        next(steps)
        cluster.close()
        with pytest.raises(StoppedError, match="lost"):
            list(steps)


@pytest.mark.slow
def test_no_scheduler_and_no_workers_are_said():
    nowhere = RunConfig(scheduler="tcp://127.0.0.1:1")
    with (
        pytest.raises(UsageError, match="No Dask scheduler answers"),
        existing_cluster(nowhere, patience=0.5),
    ):
        pass
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        settings = RunConfig(scheduler=empty.scheduler_address)
        with pytest.raises(UsageError, match="no workers"), existing_cluster(settings, patience=0.5):
            pass
