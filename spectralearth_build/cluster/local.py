"""A Dask cluster on this machine, made for the run: as many single-threaded processes as fit."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import dask
from dask.system import CPU_COUNT
from dask.utils import format_bytes, parse_bytes
from distributed import Client, LocalCluster, Security, WorkerPlugin
from distributed.system import MEMORY_LIMIT

from spectralearth_build.cluster.dask_executor import DaskExecutor, reporting
from spectralearth_build.cluster.environment import DASK_SETTINGS, WORKER_ENVIRONMENT
from spectralearth_build.cluster.job_totals import shown_totals
from spectralearth_build.cluster.security import security_of
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import BuildError, ConfigError
from spectralearth_build.faults import refusal
from spectralearth_build.machine import memory_limit
from spectralearth_build.progress import say
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.texts import counted

_STARTS = 5
"""Maximum number of starts of a cluster. A start fails if a single worker is killed meanwhile."""


@dataclass(frozen=True)
class Size:
    """The size of a local cluster."""

    workers: int
    """Number of processes."""
    memory: int
    """Memory per process in bytes."""


def size_of(config: RunConfig, needed: int, cores: int, memory: int) -> Size:
    """Choose the number of workers and their memory for a machine.

    Args:
        config: the `run` settings. Unset values are chosen here.
        needed: peak memory of one task in bytes; 0 if unknown.
        cores: number of cores of the machine.
        memory: memory of the machine in bytes.

    Raises:
        ConfigError: A worker would have less memory than a task needs. The message gives the numbers.
    """
    limit = _bytes(config.memory_limit)
    share = max(limit, needed, 1)
    workers = config.workers or max(1, min(cores, memory // share))
    size = Size(workers, limit or memory // workers)
    if size.memory < needed or size.workers * needed > memory:
        raise ConfigError(
            f"A task needs {format_bytes(needed)} at its peak, but each of {workers} workers may use "
            f"{format_bytes(size.memory)}, on a machine with {format_bytes(memory)}.",
            remedy="Lower run.workers or store.shard_rows, raise run.memory_limit, or use a larger machine.",
        )
    return size


@contextmanager
def local_cluster(config: RunConfig, memory_needed: int = 0) -> Iterator[DaskExecutor]:
    """Start a cluster, and stop it at the end.

    Raises:
        ConfigError: There is not enough memory for even one worker.
        BuildError: The workers do not start.
    """
    memory = min(MEMORY_LIMIT, memory_limit() or MEMORY_LIMIT)
    size = size_of(config, memory_needed, CPU_COUNT, memory)
    with (
        dask.config.set(DASK_SETTINGS),
        _started(size, config.dashboard, security_of(config)) as cluster,
        Client(cluster) as client,
    ):
        pages = shown_totals(client, wanted=bool(config.dashboard))
        with pages as (totals, link), reporting(config.performance_report):
            say(f"Local Dask cluster: {counted(size.workers, 'worker')} of {format_bytes(size.memory)}{link}")
            restore = _restorer(cluster, size.workers)
            yield DaskExecutor(client, size.workers, size.memory, config.task_timeout, restore, totals=totals)


class IgnoreInterrupt(WorkerPlugin):
    """Makes workers ignore Ctrl-C, which reaches every process of the terminal. The driver handles it."""

    name = "ignore-interrupt"

    def setup(self, worker: Any) -> None:  # noqa: ANN401
        """Set up a worker. Dask calls this in the main thread of each worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def free_address(wanted: str) -> str:
    """Return ``wanted`` (host:port), or the same host with a free port if that port is taken."""
    host, _, port = wanted.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "127.0.0.1", int(port)))
        except OSError:
            port = "0"
        except (ValueError, OverflowError):
            raise ConfigError(f"run.dashboard: '{wanted}' is not host:port.") from None
    return f"{host or '127.0.0.1'}:{port}"


@contextmanager
def _started(size: Size, dashboard: str, security: Security | None) -> Iterator[LocalCluster]:
    options = {
        "security": security or Security(),
        "protocol": "tls" if security else "tcp",
        "n_workers": size.workers,
        "threads_per_worker": 1,
        "processes": True,
        "memory_limit": size.memory,
        "host": "127.0.0.1",
        "env": WORKER_ENVIRONMENT,
        # Not Client.register_plugin, which fails if a worker dies meanwhile.
        "plugins": (IgnoreInterrupt(),),
        "scheduler_kwargs": {"dashboard": bool(dashboard)},
        "silence_logs": logging.CRITICAL,  # executor and stages report what matters
    }
    failure = ""
    for _ in range(_STARTS):
        address = free_address(dashboard or "127.0.0.1:0")
        try:
            cluster = LocalCluster(**options, dashboard_address=address)
        except (RuntimeError, OSError) as error:
            raise_if_stopped()
            failure = f"{type(error).__name__}: {error}"
            continue
        with cluster:
            yield cluster
        return
    what = f"The local Dask cluster failed to start ({failure})."
    raise refusal(Path(gettempdir())) or BuildError(
        what, remedy="Add --scheduler inline to run without a cluster."
    )


def _restorer(cluster: LocalCluster, workers: int) -> Callable[[], None]:
    """Return a function that replaces workers that were lost for good, because their nanny gave up or died too."""

    def restore() -> None:
        if len(cluster.scheduler_info["workers"]) < workers:
            cluster.scale(workers)

    return restore


def _bytes(text: str) -> int:
    try:
        return int(parse_bytes(text)) if text else 0
    except ValueError:
        raise ConfigError(f"run.memory_limit: '{text}' is not an amount of memory such as '4 GiB'.") from None
