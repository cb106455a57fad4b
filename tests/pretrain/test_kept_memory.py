import platform
import subprocess
import sys

import pytest
import torch

from spectralearth_build.pretrain.memory import keep_memory

FAULTS = """
import resource, torch
from spectralearth_build.pretrain.memory import keep_memory
from spectralearth_build.pretrain.spectra import Spectra, Standardise
torch.set_num_threads(1)
if {kept}:
    assert keep_memory(torch.device("cpu"))
standardise = Standardise(Spectra((0.0,) * 8, (0.0,) * 8, (1.0,) * 8))
faults = []
for _ in range(12):
    standardise(torch.zeros(16, 8, 128, 128, dtype=torch.int16))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[4])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back at once")
def test_kept_memory_is_not_asked_for_again():
    """The pages of eight batches, counted by the system."""
    after, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS.format(kept=kept)], check=True, capture_output=True
            ).stdout
        )
        for kept in (False, True)
    )
    print(after, kept)
    assert kept < after / 4


def test_a_gpu_has_its_own_memory():
    assert not keep_memory(torch.device("cuda"))
