"""A Dask cluster whose scheduler is in this process and whose workers are jobs of Slurm.

dask-jobqueue does nearly this. But it never replaces a job that was cancelled, preempted or killed, because it counts
the jobs that it submitted and not those that are there.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dask
from dask.utils import format_bytes
from distributed import Client, LocalCluster, Security
from distributed.utils import get_ip_interface

from spectralearth_build.cluster.dask_executor import DaskExecutor, reporting
from spectralearth_build.cluster.environment import JOB_SETTINGS
from spectralearth_build.cluster.job_totals import shown_totals
from spectralearth_build.cluster.local import free_address
from spectralearth_build.cluster.requirements import Required, contents
from spectralearth_build.cluster.security import security_of
from spectralearth_build.cluster.sight import live_workers
from spectralearth_build.cluster.slurm_jobs import WorkerJobs, require_slurm
from spectralearth_build.cluster.slurm_script import SCHEDULER, SCRIPT, worker_memory, worker_script
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError
from spectralearth_build.progress import say
from spectralearth_build.runlog.writing import current
from spectralearth_build.texts import counted

NAME = "spectralearth"
"""First word of the names of jobs."""


@contextmanager
def slurm_cluster(config: RunConfig, memory_needed: int = 0) -> Iterator[DaskExecutor]:
    """Start a scheduler here, keep jobs with workers in the queue while there is work, and cancel them at the end.

    Jobs are submitted when the first stage with tasks begins. There is no limit to how long they may wait in the queue.

    Raises:
        UsageError: This machine cannot submit jobs.
        ConfigError: A job has not enough memory, or the scheduler would be open to others.
        ClusterError: Later: Slurm refuses jobs, or they end before they do any work.
    """
    memory, host = worker_memory(config, memory_needed), host_of(config)
    require_slurm()
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(JOB_SETTINGS))
        cluster = stack.enter_context(_scheduler(config, host))
        client = stack.enter_context(Client(cluster))
        jobs = _jobs(config, memory, cluster.scheduler_address, client)
        stack.callback(jobs.cancel)
        slots = config.slurm.jobs * config.slurm.cores
        totals, link = stack.enter_context(shown_totals(client, wanted=bool(config.dashboard)))
        say(
            f"Slurm: {counted(config.slurm.jobs, 'job')} of {counted(config.slurm.cores, 'worker')} with "
            f"{format_bytes(memory)} each, scheduler {cluster.scheduler_address}, scripts and logs in "
            f"{jobs.folder}{link}"
        )
        with reporting(config.performance_report):
            yield DaskExecutor(
                client,
                slots,
                memory,
                config.task_timeout,
                jobs.look,
                elsewhere=True,
                required=Required(contents(), memory_needed),
                totals=totals,
            )


def script_of(config: RunConfig) -> str:
    """Return the script of the jobs that a run with these settings would submit.

    Raises:
        ConfigError: as `slurm_cluster`.
    """
    host_of(config)
    return worker_script(config, f"{NAME}-RUN", Path("DATASET/work/logs/RUN"), worker_memory(config))


def host_of(config: RunConfig) -> str:
    """Return the address at which the scheduler listens.

    Who reaches a scheduler without TLS can run code in the name of its user.

    Raises:
        ConfigError: The interface is not set or does not exist, or has a public address although there is no TLS.
    """
    name = config.slurm.interface
    remedy = "Set it to the network between the nodes, such as ib0; `ip -brief address` lists them."
    if not name:
        raise ConfigError("run.slurm.interface is not set.", remedy=remedy)
    try:
        address = str(get_ip_interface(name))
    except ValueError as error:
        raise ConfigError(f"run.slurm.interface: {error}.", remedy=remedy) from None
    if ipaddress.ip_address(address).is_global and not config.tls:
        what = f"run.slurm.interface: {name} has the public address {address}, and run.tls is not set."
        raise ConfigError(what, remedy=remedy)
    return address


@contextmanager
def _scheduler(config: RunConfig, host: str) -> Iterator[LocalCluster]:
    """Start a scheduler in this process."""
    security = security_of(config)
    with LocalCluster(
        n_workers=0,
        host=host,
        protocol="tls" if security else "tcp",
        security=security or Security(),
        dashboard_address=free_address(config.dashboard or "127.0.0.1:0"),
        scheduler_kwargs={"dashboard": bool(config.dashboard)},
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


def _jobs(config: RunConfig, memory: int, address: str, client: Client) -> WorkerJobs:
    """Return the jobs of this run, of which none is submitted yet."""
    folder, name = _folder(), f"{NAME}-{uuid.uuid4().hex[:8]}"
    files = {
        SCHEDULER: json.dumps({"address": address}),
        SCRIPT: worker_script(config, name, folder, memory),
    }

    def names() -> list[str]:
        return [str(worker["name"]) for worker in live_workers(client).values()]

    return WorkerJobs(folder, files, name, config.slurm.jobs, names)


def _folder() -> Path:
    """Return a folder that all nodes see: beside the event log of the run, or else in the working directory."""
    log = current()
    return log.path.with_suffix("").absolute() if log else Path.cwd() / f"{NAME}-jobs-{uuid.uuid4().hex[:8]}"
