"""The processes of a distributed run, started by torchrun or by srun."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from spectralearth_build.errors import StoppedError
from spectralearth_build.pretrain.launched import variables


@contextmanager
def together() -> Iterator[None]:
    """Connect the processes of torchrun or srun within this context. Does nothing if there is only one.

    The group is closed at the end, and if all processes were told to stop. After an error in one process, it does not
    wait for the others, which may be blocked in communication with it.
    """
    os.environ.update(variables(os.environ))
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(_local())
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield
    except StoppedError:
        _part()
        raise
    _part()


def device_of(wanted: str) -> torch.device:
    """Return the device of this process: its own GPU among several, else ``wanted``, else a GPU if there is one."""
    if dist.is_initialized():
        return torch.device("cuda", _local()) if torch.cuda.is_available() else torch.device("cpu")
    return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))


def _local() -> int:
    """Return the number of this process's GPU. With --gpus-per-task, Slurm shows each process only its own."""
    return int(os.environ["LOCAL_RANK"]) % max(1, torch.cuda.device_count())


def _part() -> None:
    # Threads of the group that outlive the interpreter abort the process (pytorch issue 190489). References
    # to the group, such as from a distributed module in a reference cycle, keep them alive, so collect those
    # first.
    gc.collect()
    dist.destroy_process_group()
