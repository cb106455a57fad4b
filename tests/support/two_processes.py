"""Run by torchrun: one step of objectives on this process's half of a batch; the first one writes what came of it.

Arguments: folder with NAME.given.pt, the initial state and the batch of each objective; results become NAME.result.pt.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from spectralearth_build.pretrain.processes import together
from tests.support.one_step import build, step


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for given in sorted(folder.glob("*.given.pt")):
        one(given, given.name.partition(".")[0])


def one(given: Path, name: str) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    objective = build(name)
    held = torch.load(given, weights_only=True)
    objective.load_state_dict(held["state"])
    network = DistributedDataParallel(objective, broadcast_buffers=False)
    half = slice(rank, None, ranks)
    loss = step(objective, network, held["series"][half], held["places"][half])
    dist.all_reduce(loss)
    if rank == 0:
        torch.save(
            {"loss": loss / ranks, "state": objective.state_dict()}, given.with_name(f"{name}.result.pt")
        )
    dist.barrier()


with together():
    main(Path(sys.argv[1]))
