"""The script of the jobs that run workers, and where such a run keeps it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from dask.utils import format_bytes, parse_bytes

from spectralearth_build.cluster.environment import DASK_SETTINGS, WORKER_ENVIRONMENT
from spectralearth_build.cluster.security import files_of
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import ConfigError, UsageError

SCHEDULER = "scheduler.json"
"""Name of the file from which workers learn the address of the scheduler."""
SCRIPT = "worker.sbatch"
"""Name of the script."""
OUTPUT = "%A_%a.out"
"""Name of the log of a job, as sbatch writes it: id of the array, number in it."""
PARENT = 300 << 20
"""Bytes of a job that its workers leave to their parent process."""
PATIENCE = 300
"""Seconds for which a worker looks for its scheduler. Then the job ends, also after the driver died."""
JOB = "job"
"""Before the id of the job in the name of a worker, which must not be a number. Its number in the job may follow."""
_EARLY = 600
"""Maximum number of seconds before the time limit of a job at which its workers stop."""


def worker_memory(run: RunConfig, needed: int = 0) -> int:
    """Return the memory of a worker in bytes: an equal share of the job's, without what their parent process takes.

    Args:
        run: the settings.
        needed: peak memory of one task in bytes; 0 if unknown.

    Raises:
        ConfigError: The memory is not an amount, or is not enough.
    """
    try:
        memory = int(parse_bytes(run.slurm.memory))
    except ValueError:
        raise ConfigError(
            f"run.slurm.memory: '{run.slurm.memory}' is not an amount of memory such as '4 GiB'."
        ) from None
    each = (memory - PARENT) // run.slurm.cores
    if each < max(needed, PARENT):
        raise ConfigError(
            f"A task needs {format_bytes(max(needed, PARENT))} at its peak, but each of {run.slurm.cores} workers of "
            f"a job of {format_bytes(memory)} may use {format_bytes(max(each, 0))}.",
            remedy="Raise run.slurm.memory, or lower run.slurm.cores or store.shard_rows.",
        )
    return each


def lifetime(minutes: int) -> int:
    """Return the seconds after which workers stop, before the time limit of their job."""
    return 60 * minutes - min(_EARLY, 60 * minutes // 4)


def stagger(minutes: int) -> int:
    """Return by how many seconds the lifetime of a worker may differ, up or down, so that not all end at once.

    At the longest, a worker still ends before the limit of its job, with half of the time between to spare.
    """
    return min(lifetime(minutes) // 10, (60 * minutes - lifetime(minutes)) // 2)


def job_of(worker: str) -> str:
    """Return the id of the job in which a worker runs, by the worker's name."""
    return worker.removeprefix(JOB).partition("-")[0]


def worker_script(run: RunConfig, name: str, folder: Path, memory: int) -> str:
    """Return the script of a job, in full.

    Args:
        run: the settings.
        name: name of the jobs of this run.
        folder: folder of the scheduler file and of the logs.
        memory: memory of a worker in bytes.

    Raises:
        UsageError: The path of the folder cannot be written in a directive.
    """
    if "\\" in str(folder) or not str(folder).isprintable():
        raise UsageError(
            "The path has a backslash, a line break or the like, which sbatch does not understand.",
            ascii(str(folder)),
            "Rename the folder.",
        )
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in _options(run, name, folder)),
            *(f"export {key}={shlex.quote(value)}" for key, value in _environment().items()),
            *run.slurm.prologue,
            f"exec {' '.join(_command(run, folder, memory))}",
            "",
        ]
    )


def _options(run: RunConfig, name: str, folder: Path) -> list[str]:
    slurm = run.slurm
    output = f"{str(folder).replace('%', '%%')}/{OUTPUT}"
    return [
        f"--job-name={name}",
        f"--output={shlex.quote(output)}",
        *([f"--partition={slurm.partition}"] if slurm.partition else []),
        *([f"--account={slurm.account}"] if slurm.account else []),
        f"--time={slurm.minutes}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={slurm.cores}",
        f"--mem={parse_bytes(slurm.memory) >> 20}M",
        "--no-requeue",  # the driver replaces jobs, without the two minutes that Slurm lets a requeued one wait
        *slurm.directives,
    ]


def _environment() -> dict[str, str]:
    """Return the variables of a worker: those of every worker, and the settings of Dask that concern it."""
    settings = {
        f"DASK_{key.replace('.', '__').replace('-', '_').upper()}": str(value)
        for key, value in DASK_SETTINGS.items()
        if not key.startswith("distributed.scheduler.")
    }
    return WORKER_ENVIRONMENT | settings


def _command(run: RunConfig, folder: Path, memory: int) -> list[str]:
    """Return the words of the command that runs the workers of a job."""
    age = lifetime(run.slurm.minutes)
    words = [sys.executable, "-m", "distributed.cli.dask_worker"]
    words += ["--scheduler-file", str(folder / SCHEDULER), "--death-timeout", str(PATIENCE)]
    words += ["--nworkers", str(run.slurm.cores), "--nthreads", "1", "--memory-limit", str(memory)]
    words += [
        "--lifetime",
        f"{age}s",
        "--lifetime-stagger",
        f"{stagger(run.slurm.minutes)}s",
        "--no-dashboard",
    ]
    words += ["--interface", run.slurm.interface]
    if run.tls:
        options = ("--tls-ca-file", "--tls-cert", "--tls-key")
        words += [word for pair in zip(options, files_of(run), strict=True) for word in pair]
    quoted = [shlex.quote(os.fspath(word)) for word in words]
    return [
        *quoted,
        "--name",
        f'"{JOB}${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"',
        "--local-directory",
        '"${TMPDIR:-/tmp}"',
    ]
