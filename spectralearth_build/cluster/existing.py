"""An existing Dask cluster, on any machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask.utils import format_bytes
from distributed import Client, Security

from spectralearth_build import version
from spectralearth_build.cluster.dask_executor import DaskExecutor, reporting
from spectralearth_build.cluster.job_totals import shown_totals
from spectralearth_build.cluster.requirements import Required, contents
from spectralearth_build.cluster.security import security_of
from spectralearth_build.cluster.sight import live_workers
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, UsageError
from spectralearth_build.progress import say
from spectralearth_build.signals import raise_if_stopped
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
    config = config.model_copy(update={"scheduler": address_of(config.scheduler, patience)})
    with _joined(config.scheduler, patience, security_of(config)) as client:
        workers = live_workers(client)
        _check_version(client)
        limit = _check_memory(workers, memory_needed)
        threads = sum(worker["nthreads"] for worker in workers.values())
        with shown_totals(client) as (totals, link), reporting(config.performance_report):
            say(f"Dask cluster at {config.scheduler}: {counted(threads, 'thread')}{link}")
            yield DaskExecutor(
                client,
                threads,
                limit,
                config.task_timeout,
                _watcher(client),
                elsewhere=True,
                required=Required(contents(), memory_needed),
                totals=totals,
            )


def address_of(given: str, patience: float = PATIENCE) -> str:
    """Return the address of a scheduler.

    Args:
        given: an address, or the file that `dask scheduler --scheduler-file` writes. A name that ends in .json is a
            file. The scheduler may still be starting, so a file that is not there yet is waited for.
        patience: seconds to wait for the file.

    Raises:
        UsageError: the file does not come, or is not the file of a scheduler.
    """
    path = Path(given)
    if not given.endswith(".json") and not path.is_file():
        return given
    limit = time.monotonic() + patience
    while True:
        try:
            return str(json.loads(path.read_bytes())["address"])
        except FileNotFoundError:
            problem = "is not there"
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"is not the file of a scheduler ({type(error).__name__}: {error})"
        if time.monotonic() >= limit:
            raise UsageError(
                f"The scheduler file {problem}.",
                path,
                f"Start the scheduler with `dask scheduler --scheduler-file {given}` and wait for the file.",
            )
        raise_if_stopped()
        time.sleep(0.2)


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


def _check_memory(workers: Mapping[str, Any], needed: int) -> int | None:
    """Return the least memory of a worker per thread in bytes; None: no worker has a limit.

    Raises:
        ConfigError: a worker has less than ``needed``.
    """
    limits = {
        address: int(worker["memory_limit"] // worker["nthreads"])
        for address, worker in workers.items()
        if worker["memory_limit"]
    }
    if not limits:
        return None
    least = min(limits, key=lambda address: limits[address])
    if limits[least] < needed:
        raise ConfigError(
            f"A task may need {format_bytes(needed)}, but worker {least} has {format_bytes(limits[least])}.",
            remedy="Start workers with more memory and one thread each, or lower store.shard_rows.",
        )
    return limits[least]


def package_version() -> tuple[str, str]:
    """Return version and contents of this package in the calling process."""
    return version.__version__, contents()


def _check_version(client: Client) -> None:
    here = package_version()
    remedy = (
        f"Install the same spectralearth-build {here[0]} there as here: the same wheel, or the same commit."
    )
    others = {}
    for address, answer in client.run(package_version, on_error="return").items():
        if isinstance(answer, ImportError | AttributeError):
            what = f"Worker {address} cannot import this package ({answer})."
            raise UsageError(what, remedy=remedy) from answer
        if isinstance(answer, Exception) and not isinstance(answer, OSError):  # that worker has died
            raise answer
        if not isinstance(answer, Exception) and tuple(answer) != here:
            others[address] = answer
    if others:
        address, (number, _) = min(others.items())
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        what = f"version {number}" if number != here[0] else "the same version with other code"
        raise UsageError(f"Other versions of this package: worker {address}{more} has {what}.", remedy=remedy)


@dataclass
class _Watch:
    alone: bool = False


def _watcher(client: Client) -> Callable[[], None]:
    """Return a function that reports, once, that the cluster has no workers left. Tasks wait until some join."""
    watch = _Watch()

    def look() -> None:
        alone = not live_workers(client)
        if alone and not watch.alone:
            say("The cluster has no workers; waiting for some.")
        watch.alone = alone

    return look
