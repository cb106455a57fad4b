"""Execution of tasks: in this process, on a cluster made for the run, or on an existing cluster.

`connect` returns an `Executor` for any backend. Backends hold no state that must be saved. The files that tasks leave
(commit records) decide what is done, so a task may run twice and a run may stop at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spectralearth_build.caches import settle_home
from spectralearth_build.cluster.attached import with_attachments
from spectralearth_build.cluster.recorded import with_log
from spectralearth_build.cluster.task import Executor, Failure
from spectralearth_build.machine import check_machine, clock_note
from spectralearth_build.signals import raise_if_stopped, stop_on_signals

if TYPE_CHECKING:
    from spectralearth_build.config import RunConfig

__all__ = ["Executor", "Failure", "connect", "raise_if_stopped", "stop_on_signals"]


@contextmanager
def connect(config: RunConfig, memory_needed: int = 0) -> Iterator[Executor]:
    """Start or join the cluster that ``config.scheduler`` names, and leave it cleanly.

    Args:
        config: the `run` settings.
        memory_needed: peak memory of one task in bytes. If memory is short, fewer workers are started.

    Raises:
        MachineError: This machine or its environment would make every product fail.
        ConfigError: There is not enough memory for even one worker.
        UsageError: The scheduler does not respond, its workers cannot run this package, or there is no Slurm here.
        ClusterError: The batch system refuses jobs, or they end before they do any work.
    """
    from spectralearth_build.progress import say

    settle_home()
    check_machine()
    if note := clock_note():
        say(note)
    if config.scheduler == "inline":
        from spectralearth_build.cluster.inline import InlineExecutor

        yield with_log(with_attachments(InlineExecutor()))
    elif config.scheduler == "slurm":
        from spectralearth_build.cluster.slurm import slurm_cluster

        with slurm_cluster(config, memory_needed) as executor:
            yield with_log(with_attachments(executor))
    elif config.scheduler:
        from spectralearth_build.cluster.existing import existing_cluster

        with existing_cluster(config, memory_needed) as executor:
            yield with_log(with_attachments(executor))
    else:
        from spectralearth_build.cluster.local import local_cluster

        with local_cluster(config, memory_needed) as executor:
            yield with_log(with_attachments(executor))
