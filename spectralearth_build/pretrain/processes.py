"""The processes of a distributed run, which torchrun starts."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from spectralearth_build.errors import StoppedError


@contextmanager
def together() -> Iterator[None]:
    """Inside, the processes of torchrun know each other; without torchrun nothing happens.

    They part at the end, and when all were told to stop. After an error of one of them nothing is waited for: the
    others may be within an exchange with it.
    """
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
    """The device of this process: its own GPU under torchrun, else ``wanted``, else a GPU if there is one."""
    if dist.is_initialized():
        return torch.device("cuda", _local()) if torch.cuda.is_available() else torch.device("cpu")
    return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))


def _local() -> int:
    return int(os.environ["LOCAL_RANK"])


def _part() -> None:
    # Threads of the group that outlive the interpreter abort the process (pytorch issue 190489). What still refers to
    # the group, such as a distributed module in a cycle of references, keeps them alive: it has to go first.
    gc.collect()
    dist.destroy_process_group()
