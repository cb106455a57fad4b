"""Run by torchrun: one step of an objective on this process's half of a batch; the first one writes what came of it.

Arguments: objective, file of the initial state and the batch, file for the result.
"""

import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from spectralearth_build.pretrain.processes import together
from tests.support.one_step import build, step


def main(name: str, given: str, result: str) -> None:
    torch.set_num_threads(1)
    rank, ranks = dist.get_rank(), dist.get_world_size()
    objective = build(name)
    held = torch.load(given, weights_only=True)
    objective.load_state_dict(held["state"])
    network = DistributedDataParallel(objective, broadcast_buffers=False)
    half = slice(rank, None, ranks)
    loss = step(objective, network, held["series"][half], held["places"][half])
    dist.all_reduce(loss)
    if rank == 0:
        torch.save({"loss": loss / ranks, "state": objective.state_dict()}, result)
    dist.barrier()


with together():
    main(*sys.argv[1:])
