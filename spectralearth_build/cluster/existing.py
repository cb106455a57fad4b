"""An existing Dask cluster, on any machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dask.utils import format_bytes
from distributed import Client, Security

from spectralearth_build import version
from spectralearth_build.cluster.dask_executor import DaskExecutor, reporting
from spectralearth_build.cluster.security import security_of
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, UsageError
from spectralearth_build.progress import say
from spectralearth_build.texts import counted

PATIENCE = 60
"""Seconds to wait for the scheduler and for its first worker."""


@contextmanager
def existing_cluster(
    config: RunConfig, memory_needed: int = 0, patience: float = PATIENCE
) -> Iterator[DaskExecutor]:
    """Join the cluster at ``config.scheduler``, and leave it running afterwards.

    Archive and dataset must have the same paths on all machines. Set `WORKER_ENVIRONMENT` where the workers are
    started.

    Raises:
        UsageError: The scheduler does not respond, there are no workers, or they cannot import this version of the
            package.
        ConfigError: Workers have less memory than a task needs. The message gives the numbers.
    """
    with _joined(config.scheduler, patience, security_of(config)) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        _check_version(client)
        limits = [
            worker["memory_limit"] // worker["nthreads"] for worker in workers if worker["memory_limit"]
        ]
        limit = min(limits, default=None)
        if limit is not None and limit < memory_needed:
            raise ConfigError(
                f"A task may need {format_bytes(memory_needed)}, but a worker has {format_bytes(limit)}.",
                remedy="Start workers with more memory and one thread each, or lower store.shard_rows.",
            )
        threads = sum(worker["nthreads"] for worker in workers)
        say(
            f"Dask cluster at {config.scheduler}: {counted(threads, 'thread')}, dashboard "
            f"{client.dashboard_link}"
        )
        with reporting(config.performance_report):
            yield DaskExecutor(client, threads, limit, config.task_timeout, _watcher(client), elsewhere=True)


@contextmanager
def _joined(address: str, patience: float, security: Security | None) -> Iterator[Client]:
    try:
        client = Client(address, timeout=patience, set_as_default=True, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        remedy = "Check run.scheduler, or leave it out to use a local cluster."
        raise UsageError(f"No Dask scheduler answers at {address} ({error}).", remedy=remedy) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            raise UsageError(
                f"The Dask scheduler at {address} has no workers.",
                remedy="Start workers, such as with `dask worker ADDRESS`, and run the same command again.",
            ) from error
        yield client


def package_version() -> str:
    """Return the version of this package in the calling process."""
    return version.__version__


def _check_version(client: Client) -> None:
    remedy = f"Install spectralearth-build {package_version()} there."
    answers = client.run(package_version, on_error="return").values()
    for answer in answers:
        if isinstance(answer, ImportError | AttributeError):
            raise UsageError(f"The workers cannot import this package ({answer}).", remedy=remedy) from answer
        if isinstance(answer, Exception) and not isinstance(answer, OSError):  # that worker has died
            raise answer
    versions = {answer for answer in answers if isinstance(answer, str)}
    if versions - {package_version()}:
        raise UsageError(f"The workers have other versions: {', '.join(sorted(versions))}.", remedy=remedy)


@dataclass
class _Watch:
    alone: bool = False


def _watcher(client: Client) -> Callable[[], None]:
    """Return a function that reports, once, that the cluster has no workers left. Tasks wait until some join."""
    watch = _Watch()

    def look() -> None:
        alone = not client.scheduler_info(n_workers=-1)["workers"]
        if alone and not watch.alone:
            say("The cluster has no workers; waiting for some.")
        watch.alone = alone

    return look
