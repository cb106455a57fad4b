import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from distributed import LocalCluster

from spectralearth_build import version
from spectralearth_build.cluster import connect, existing
from spectralearth_build.cluster.existing import _check_version, address_of, existing_cluster, package_version
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, StoppedError, UsageError
from tests.support import worker_tasks as tasks
from tests.support.processes import wait_for


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
    with pytest.raises(UsageError, match="versions of this package"), connect(settings):
        pass


class Answering:
    """A client whose workers answer this."""

    def __init__(self, *answers):
        self.answers = dict(enumerate(answers))

    def run(self, function, on_error):
        assert on_error == "return"
        return self.answers


def test_a_worker_that_dies_when_asked_for_its_version_is_no_reason_to_end():
    here = package_version()
    _check_version(Answering(here, OSError("closed"), here))
    with pytest.raises(UsageError, match="cannot import"):
        _check_version(Answering(OSError("closed"), ModuleNotFoundError("spectralearth_build")))
    with pytest.raises(UsageError, match="versions of this package"):
        _check_version(Answering(here, ("0.0.1-other", "")))
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


def test_a_scheduler_file_is_taken_like_an_address(cluster, tmp_path):
    path = tmp_path / "scheduler.json"
    writing = threading.Timer(0.5, path.write_text, [json.dumps({"address": cluster.scheduler_address})])
    writing.start()  # the scheduler may still be starting
    with connect(RunConfig(scheduler=str(path))) as executor:
        assert dict(executor.run("scan", tasks.square, {"k": (3,)})) == {"k": 9}


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"workers": {}}'])
def test_a_scheduler_file_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "scheduler.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="scheduler file is not") as caught:
        address_of(str(path), patience=0.3)
    assert caught.value.path == str(path)
    assert "--scheduler-file" in caught.value.remedy


def test_addresses_are_no_files():
    for address in ("tcp://127.0.0.1:8786", "tls://host:1", "host:8786"):
        assert address_of(address, 0) == address


def test_code_is_compared_and_not_only_the_version(cluster, monkeypatch):
    monkeypatch.setattr(existing, "contents", lambda: "of another checkout")
    settings = RunConfig(scheduler=cluster.scheduler_address)
    with pytest.raises(UsageError, match="the same version with other code") as caught, connect(settings):
        pass
    assert next(iter(cluster.scheduler_info["workers"])) in str(caught.value)


def test_a_worker_with_little_memory_is_named(cluster):
    with (
        pytest.raises(ConfigError) as caught,
        connect(RunConfig(scheduler=cluster.scheduler_address), 3 << 30),
    ):
        pass
    assert next(iter(cluster.scheduler_info["workers"])) in str(caught.value)


def joined_late(cluster, executor, enough, **options):
    """Processes of the old and of the joined worker that did tasks, until ``enough`` and a little longer."""
    steps = executor.run("scan", tasks.where, {f"k{n}": (0.1,) for n in range(1200)})
    places = {next(steps)[1]}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
    flags = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", options["memory"]]
    with subprocess.Popen([*command, *flags], env=os.environ | options["env"], cwd=options["cwd"]) as late:
        try:
            wait_for(lambda: len(executor.client.scheduler_info(n_workers=-1)["workers"]) == 2)
            for _, place in steps:
                places.add(place)
                if enough(places):
                    break
            return places | {place for _, place in itertools.islice(steps, 10)}
        finally:
            late.terminate()
            steps.close()


@pytest.mark.slow
@pytest.mark.parametrize("lack", ["nothing", "memory", "code", "package"])
def test_a_worker_that_joins_later_is_checked_too(cluster, tmp_path, capsys, lack):
    settings, env, root = (
        RunConfig(scheduler=cluster.scheduler_address),
        {},
        Path(version.__file__).parents[1],
    )
    if lack == "code":
        shutil.copytree(root / "spectralearth_build", tmp_path / "spectralearth_build")
        with (tmp_path / "spectralearth_build/version.py").open("a") as file:
            file.write("# a change\n")
        shutil.copytree(root / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("data"))
    if lack == "package":
        hide = "import sys; sys.modules['spectralearth_build'] = None\n"
        (tmp_path / "sitecustomize.py").write_text(hide)
    if lack in ("code", "package"):
        env["PYTHONPATH"] = str(tmp_path)
    else:
        env["PYTHONPATH"] = str(root)
    with connect(settings, 500 << 20) as executor:
        memory = "300MiB" if lack == "memory" else "1GiB"
        both = lack == "nothing"
        places = joined_late(
            cluster,
            executor,
            lambda places: len(places) == 2 if both else executor.said,
            memory=memory,
            env=env,
            cwd=tmp_path,
        )
    said = capsys.readouterr().out
    assert len(places) == (2 if lack == "nothing" else 1)
    reasons = {"memory": "A task may need", "code": "other code", "package": "cannot import"}
    assert ("gets no tasks" in said) == (lack != "nothing")
    assert reasons.get(lack, "") in said
