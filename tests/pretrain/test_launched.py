import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.launched import first_of, variables

OF_STEP = {
    "SLURM_JOB_ID": "40007",
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
}


def test_a_process_of_srun_has_what_torch_needs():
    assert variables(OF_STEP) == {
        "RANK": "5",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "8",
        "MASTER_ADDR": "gpu03",
        "MASTER_PORT": "25008",
    }
    own = variables(OF_STEP | {"MASTER_ADDR": "10.0.0.3", "MASTER_PORT": "1234"})
    assert (own["MASTER_ADDR"], own["MASTER_PORT"]) == ("10.0.0.3", "1234")


def test_processes_without_others_or_of_torchrun_are_left_alone():
    assert variables({}) == {}
    assert variables(OF_STEP | {"SLURM_STEP_NUM_TASKS": "1"}) == {}
    assert variables(OF_STEP | {"RANK": "0", "WORLD_SIZE": "2"}) == {}
    of_batch_script = {
        "SLURM_JOB_ID": "40007",
        "SLURM_NTASKS": "8",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
    }
    assert variables(of_batch_script) == {}


@pytest.mark.parametrize("missing", ["SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"])
def test_what_is_missing_is_named(missing):
    with pytest.raises(UsageError, match=missing):
        variables({key: value for key, value in OF_STEP.items() if key != missing})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("a1,a2", "a1"),
        ("gpu[03-05,11]", "gpu03"),
        ("gpu[11,13]", "gpu11"),
        ("r1-n[1-2],login1", "r1-n1"),
        ("r[1-2]n[08,11-12].hpc,login1", "r1n08.hpc"),
        ("localhost", "localhost"),
    ],
)
def test_the_first_node_of_a_list(nodes, first):
    assert first_of(nodes) == first
    with pytest.raises(ValueError, match="no nodes"):
        first_of("")
