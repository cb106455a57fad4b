"""A long build with many workers: what the driver and the scheduler need, and how long workers wait for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
from distributed import Client

from spectralearth_build.bench.driving.pretended import pretend_archive, pretend_cut
from spectralearth_build.bench.driving.simulated import TILE_PATCHES, simulate
from spectralearth_build.bench.show import percent, table
from spectralearth_build.cluster import connect
from spectralearth_build.config import RunConfig
from spectralearth_build.layout import committed_shards, log_files
from spectralearth_build.places import at_work
from spectralearth_build.runlog.reading import spans

PROCESSES = 2
"""Processes of the workers."""
LOGS = {"DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "20"}
"""Environment of the scheduler, as the documentation recommends."""
START = 300
"""Seconds for the workers to start."""
SHOWN = 10
"""Rows of the table of memory over time."""


@dataclass
class Watcher:
    """Memory of driver and scheduler over time."""

    scheduler: psutil.Process
    pause: float
    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Seconds, MB of the driver, MB and CPU seconds of the scheduler."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Sample until `end`."""
        driver, began = psutil.Process(), time.monotonic()
        while True:
            cpu = self.scheduler.cpu_times()
            sizes = (driver.memory_info().rss / 1e6, self.scheduler.memory_info().rss / 1e6)
            self.rows.append((time.monotonic() - began, *sizes, cpu.user + cpu.system))
            if self._ended.wait(self.pause):
                return

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample inside this context."""
        thread = threading.Thread(target=self.watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the file and the process of a scheduler that has light workers, in processes of their own."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    python = [sys.executable, "-m"]
    flags = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    with ExitStack() as stack:
        scheduler = stack.enter_context(_running([*python, "distributed.cli.dask_scheduler", *flags]))
        while not file.is_file():
            if scheduler.poll() is not None:
                raise RuntimeError("The scheduler did not start.")
            time.sleep(0.1)
        address = json.loads(file.read_bytes())["address"]
        for number in range(PROCESSES):
            share = workers // PROCESSES + (number < workers % PROCESSES)
            module = "spectralearth_build.bench.driving.workers"
            stack.enter_context(_running([*python, module, address, str(share)]))
        with Client(address) as client:
            client.wait_for_workers(workers, timeout=START)
        yield str(file), psutil.Process(scheduler.pid)


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    surroundings = os.environ | LOGS
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def last(work: Path, tasks: int, workers: int, seconds: float) -> pd.DataFrame:
    """Simulate the cut of a dataset.

    Args:
        work: folder for the dataset, which is kept.
        tasks: number of tiles; rounded to whole groups of three.
        workers: number of workers, of one thread each.
        seconds: how long a task sleeps.

    Returns:
        One row per sample: seconds, driver_mb, scheduler_mb, scheduler_cpu; in ``attrs`` the figures of `lines`.
    """
    dataset = simulate(work / "lasting", tasks * TILE_PATCHES, cut=False)
    archive = pretend_archive(work / "lasting-archive", dataset)
    before = len(committed_shards(dataset))
    with cluster(work, workers) as (address, scheduler):
        run = RunConfig(scheduler=address, dashboard="")
        watcher = Watcher(scheduler, pause=max(1.0, tasks * seconds / workers / 100))
        with at_work(dataset, verb="cut") as folder, connect(run) as executor, watcher.watching():
            began = time.process_time()
            result = pretend_cut(archive, folder, executor, seconds, run)
            cpu = time.process_time() - began
    log = log_files(dataset)[-1]
    frame = pd.DataFrame(watcher.rows, columns=["seconds", "driver_mb", "scheduler_mb", "scheduler_cpu"])
    frame.attrs = {
        **waiting(log),
        "workers": workers,
        "sleep": seconds,
        "driver_cpu": cpu,
        "log_bytes": log.stat().st_size,
        "published": result.written,
        "cut": len(committed_shards(dataset)) - before,
    }
    return frame


def waiting(log: Path) -> dict[str, float]:
    """Return what the event log says: number of tasks, seconds from first to last, and how long workers were busy."""
    found = [span for stage, span in spans(log) if stage == "cut"]
    first, end = min(span.began for span in found), max(span.began + span.seconds for span in found)
    busy = sum(span.seconds for span in found)
    return {"tasks": len(found), "span": end - first, "busy": busy}


def lines(measured: pd.DataFrame) -> Iterator[str]:
    """Format the measurements."""
    some = measured.iloc[:: max(1, len(measured) // SHOWN)]
    head = ("seconds", "driver MB", "scheduler MB", "CPU s of the scheduler")
    cells = [(f"{r.seconds:,.0f}", r.driver_mb, r.scheduler_mb, r.scheduler_cpu) for r in some.itertuples()]
    yield table("Memory over time", head, cells)
    a = measured.attrs
    span, workers = a["span"], a["workers"]
    yield (
        f"{a['tasks']:,} tasks of {a['sleep']:g} s on {workers} workers in {span:,.0f} s: "
        f"{a['tasks'] / span:.0f} a second"
    )
    yield (
        f"workers idle or waiting: {percent(1 - a['busy'] / span / workers)}; a task took "
        f"{1000 * a['busy'] / a['tasks']:.0f} ms"
    )
    yield f"CPU of the driver: {a['driver_cpu']:,.0f} s, reading of the plan and publication included"
    yield f"event log: {a['log_bytes'] / 1e6:,.1f} MB, {a['log_bytes'] / a['tasks']:.0f} bytes a task"
    yield f"{a['cut']:,} shards cut, {a['published']:,} patches published"
