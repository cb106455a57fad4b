"""The totals of jobs as metrics of Prometheus, beside those of Dask, where ``prometheus_client`` is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Jobs = Callable[[], Sequence[Mapping[str, Any]]]
"""Returns the latest job of each command and dataset."""

_source: list[Jobs] = []
"""Where the jobs of this process's scheduler are; one, or none yet."""


def expose(jobs: Jobs) -> None:
    """Add the jobs to what ``/metrics`` of the scheduler in this process answers; without the library, do nothing.

    Dask's own metrics are those of the latest scheduler of the process, and so are these.
    """
    try:
        from prometheus_client import REGISTRY
    except ImportError:
        return
    if not _source:
        REGISTRY.register(_Collector())
    _source[:] = [jobs]


class _Collector:
    """Gives the metrics to Prometheus's library."""

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        for jobs in _source:
            yield from metrics(jobs())


def metrics(jobs: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield the metrics of jobs, of which no two have the same command and dataset."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    of_job = ("verb", "dataset")
    running = GaugeMetricFamily(
        "spectralearth_build_running", "1 while the run goes on, else 0", labels=of_job
    )
    of_stage = (*of_job, "stage")
    tasks = GaugeMetricFamily("spectralearth_build_tasks", "Tasks of a stage in this run", labels=of_stage)
    done = CounterMetricFamily("spectralearth_build_tasks_done", "Tasks with a result", labels=of_stage)
    failed = CounterMetricFamily("spectralearth_build_tasks_failed", "Tasks that failed", labels=of_stage)
    left = GaugeMetricFamily(
        "spectralearth_build_left_seconds", "Time until the stage ends, as estimated", labels=of_stage
    )
    for job in jobs:
        names = [job["verb"], job["dataset"]]
        running.add_metric(names, int(job["state"] == "running"))
        for stage in dict.fromkeys(each["name"] for each in job["stages"]):
            parts = [each for each in job["stages"] if each["name"] == stage]  # a stage may run twice
            for metric, what in ((tasks, "tasks"), (done, "done"), (failed, "failed")):
                metric.add_metric([*names, stage], sum(each[what] for each in parts))
            if job["state"] == "running" and (seconds := parts[-1]["left"]) is not None:
                left.add_metric([*names, stage], seconds)
    yield from (running, tasks, done, failed, left)
