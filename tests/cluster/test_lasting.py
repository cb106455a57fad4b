"""A driver that lasts: thousands of tasks, and what may happen to scheduler, network and workers meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from spectralearth_build.bench.driving import lasting
from spectralearth_build.bench.driving.pretended import pretend_archive
from spectralearth_build.bench.driving.simulated import TILE_PATCHES, simulate
from spectralearth_build.layout import committed_shards
from tests.support.cut_cable import cable
from tests.support.files import tree
from tests.support.processes import environment, started, wait_for

pytestmark = pytest.mark.slow

TASKS, SECONDS, WORKERS = 600, 0.02, 4
QUICK = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s",
}
"""A silent worker is given up after three seconds, not after minutes."""


def test_thousands_of_tasks_leave_neither_driver_nor_scheduler_larger(tmp_path):
    measured = lasting.last(tmp_path, 2000, workers=16, seconds=0.002)
    found = measured.attrs
    assert found["tasks"] == found["cut"] == 2001
    assert found["published"] == 2001 * TILE_PATCHES
    assert measured["scheduler_mb"].max() < 200  # it held all tasks as objects once, 140 kB each
    assert "2,001 tasks of 0.002 s on 16 workers" in "\n".join(lasting.lines(measured))


class Site:
    """A cluster in processes of its own, and a dataset to cut on it."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.dataset = simulate(folder / "d", TASKS * TILE_PATCHES, cut=False)
        self.archive = pretend_archive(folder / "archive", self.dataset)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, module, *words):
        command = [sys.executable, "-m", module, *words]
        return self.stack.enter_context(started(command, env=environment(**QUICK)))

    def scheduler(self):
        flags = ["--host", "127.0.0.1", "--port", self.port, "--no-dashboard"]
        process = self.start("distributed.cli.dask_scheduler", *flags)
        wait_for(self.answers)
        return process

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def workers(self, address=None):
        return self.start("spectralearth_build.bench.driving.workers", address or self.address, WORKERS)

    def cut(self, address=None):
        """Begin the command."""
        words = [self.archive, self.dataset, address or self.address, SECONDS]
        command = [sys.executable, "-m", "tests.support.pretended_run", *words]
        return self.stack.enter_context(started(command, stdout=subprocess.PIPE, env=environment(**QUICK)))

    def wait_for_shards(self, count):
        wait_for(lambda: len(committed_shards(self.dataset)) >= count)

    def finish(self, command):
        """Wait for the command; if it stopped with words, give it again. Returns what it said."""
        said = command.communicate(timeout=300)[0]
        if command.returncode == 75:
            assert "again to continue" in said
            again = self.cut()
            said += again.communicate(timeout=300)[0]
            assert again.returncode == 0, said
        else:
            assert command.returncode == 0, said
        return said


@pytest.fixture
def site(tmp_path):
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    lasting.last(folder, TASKS, workers=2 * WORKERS, seconds=0)
    return tree(folder / "lasting")


def test_a_scheduler_that_is_killed_and_started_again_at_its_address(site, expected):
    scheduler = site.scheduler()
    site.workers()
    command = site.cut()
    site.wait_for_shards(50)
    scheduler.kill()
    scheduler.wait()
    site.scheduler()
    site.workers()
    site.finish(command)
    assert tree(site.dataset) == expected


@pytest.mark.parametrize("how", ["silent", "reset"])
def test_a_network_that_fails_between_driver_and_scheduler(site, expected, how):
    site.scheduler()
    site.workers()
    with cable("127.0.0.1", site.port) as line:
        command = site.cut(line.address)
        site.wait_for_shards(50)
        if how == "silent":
            line.pull()
            time.sleep(6)
            line.plug()
        else:
            line.cut()
        said = site.finish(command)
        assert "on its own" not in said
    assert tree(site.dataset) == expected


def test_a_network_that_fails_between_workers_and_scheduler(site, expected):
    """They are given up, and others come."""
    site.scheduler()
    with cable("127.0.0.1", site.port) as line:
        site.workers(line.address)
        command = site.cut()
        site.wait_for_shards(50)
        line.pull()
        time.sleep(6)
        line.plug()
        site.workers()
        site.finish(command)
    assert tree(site.dataset) == expected


def test_workers_that_are_frozen_until_they_are_given_up_and_then_go_on(site, expected):
    """Their tasks are done by others meanwhile, and what they write then is the same."""
    site.scheduler()
    frozen, _ = site.workers(), site.workers()
    command = site.cut()
    site.wait_for_shards(50)
    os.kill(frozen.pid, signal.SIGSTOP)
    before = len(committed_shards(site.dataset))
    time.sleep(6)
    os.kill(frozen.pid, signal.SIGCONT)
    site.wait_for_shards(min(before + 50, TASKS))
    site.finish(command)
    assert tree(site.dataset) == expected
