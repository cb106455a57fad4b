"""Two processes of torchrun give what one gives with the doubled batch."""

import subprocess
import sys

import pytest
import torch

from tests.support.one_step import build, step
from tests.support.processes import environment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["moco", "dino", "simclr"])
def test_two_processes_equal_one_with_the_doubled_batch(name, tmp_path):
    torch.manual_seed(3)
    objective = build(name)
    series, places = torch.randn(6, 2, 80, 8, 8), torch.tensor([1, 2, 3, 1, 5, 6])
    given, result = tmp_path / "given.pt", tmp_path / "result.pt"
    torch.save({"state": objective.state_dict(), "series": series, "places": places}, given)
    order = torch.tensor([0, 2, 4, 1, 3, 5])  # as the processes' halves lie behind each other
    loss = step(objective, objective, series[order], places[order])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "-m", "tests.support.two_processes", name, given, result],
        check=True,
        timeout=240,
        env=environment(OMP_NUM_THREADS="1"),
    )
    found = torch.load(result, weights_only=True)
    torch.testing.assert_close(found["loss"], loss, rtol=1e-4, atol=1e-5)
    for key, value in objective.state_dict().items():
        torch.testing.assert_close(
            found["state"][key], value, rtol=1e-3, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}"
        )
