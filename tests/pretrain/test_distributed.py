"""Two processes of torchrun give what one gives with the doubled batch."""

import subprocess
import sys

import pytest
import torch

from tests.support.one_step import build, step
from tests.support.processes import environment

pytestmark = pytest.mark.slow

NAMES = ["moco", "dino", "simclr", "byol", "simsiam", "barlow", "vicreg", "swav"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What one process makes of the batch, and the files of what two make of it."""
    folder, alone = tmp_path_factory.mktemp("two"), {}
    for name in NAMES:
        torch.manual_seed(3)
        objective = build(name)
        series, places = torch.randn(6, 2, 80, 8, 8), torch.tensor([1, 2, 3, 1, 5, 6])
        given = {"state": objective.state_dict(), "series": series, "places": places}
        torch.save(given, folder / f"{name}.given.pt")
        order = torch.tensor([0, 2, 4, 1, 3, 5])  # as the processes' halves lie behind each other
        alone[name] = step(objective, objective, series[order], places[order]), objective.state_dict()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "-m", "tests.support.two_processes", folder],
        check=True,
        timeout=400,
        env=environment(OMP_NUM_THREADS="1"),
    )
    return folder, alone


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_equal_one_with_the_doubled_batch(name, results):
    folder, alone = results
    loss, state = alone[name]
    found = torch.load(folder / f"{name}.result.pt", weights_only=True)
    torch.testing.assert_close(found["loss"], loss, rtol=1e-4, atol=1e-5)
    for key, value in state.items():
        torch.testing.assert_close(
            found["state"][key], value, rtol=1e-3, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}"
        )
