import platform
import subprocess
import sys

import pytest
import torch

from spectralearth_build.pretrain.memory import keep_memory
from tests.support.processes import environment

PROGRAM = """
import ctypes, torch
from spectralearth_build.pretrain.memory import keep_memory

class Statistics(ctypes.Structure):  # what glibc says of its heap, see mallinfo2(3)
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

heap = ctypes.CDLL(None).mallinfo2
heap.restype = Statistics
torch.set_num_threads(1)
if {kept}:
    assert keep_memory(torch.device("cpu"))
mapped, held = [], []
for _ in range({batches}):
    batch = torch.zeros({size}, dtype=torch.uint8)
    mapped.append(heap().hblkhd)
    del batch
    held.append(heap().fordblks)
print(min(mapped), min(held), max(held))
"""
BATCHES, SIZE = 40, 40 << 20
"""How many, and bytes of each."""


def glibc_with_statistics():
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(map(int, version.split("."))) >= (2, 33)


@pytest.mark.slow
@pytest.mark.skipif(not glibc_with_statistics(), reason="only glibc 2.33 tells of its heap")
@pytest.mark.parametrize("kept", [False, True])
def test_kept_memory_is_not_asked_for_again(kept):
    """Bytes that glibc maps for a batch, and bytes that it still holds once the batch is gone."""
    program = PROGRAM.format(kept=kept, batches=BATCHES, size=SIZE)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment())
    mapped, held, most = map(int, done.stdout.split())
    if kept:  # what is held serves later batches: few of them take more
        assert mapped < SIZE <= held
        assert most < SIZE * BATCHES / 2
    else:
        assert held < SIZE <= mapped


def test_a_gpu_has_its_own_memory():
    assert not keep_memory(torch.device("cuda"))
