"""On a real Slurm: lost workers are replaced, the driver goes on, and the bytes are those of a local build."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spectralearth_build.layout import log_files
from spectralearth_build.runlog.reading import events
from tests.support.files import tree
from tests.support.processes import environment, started, wait_for
from tests.support.small_archive import write_noise_tile

pytestmark = pytest.mark.slow

WORKFLOWS = Path(__file__).parents[2] / "workflows"
BUILD = [sys.executable, "-m", "spectralearth_build", "build"]
OPTIONS = ["--set", "store.shard_rows=1", "--set", "run.check_space=false", "--set", "run.dashboard="]
NOT_COMPARED = ("work", "report.html")
"""What a run leaves for itself; the report names the paths of the dataset."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm-archive")
    for number in range(1, 7):
        write_noise_tile(folder, number, shift=(0, 140 * (number > 3)))  # two locations, three dates
    return folder


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory):
    """The files of a build in one process."""
    dataset = tmp_path_factory.mktemp("local") / "d"
    command = [*BUILD, archive, dataset, "--scheduler", "inline", *OPTIONS]
    subprocess.run(command, check=True, env=environment(), timeout=300)
    return tree(dataset, NOT_COMPARED)


def slurm_settings(folder, prologue, **settings):
    """A configuration of worker jobs, each with a gigabyte, whose prologue sees which job of the run it is ($nth)."""
    notes = folder / "jobs"
    notes.mkdir()
    count = f'nth=0; until mkdir "{notes}/$nth" 2>/dev/null; do nth=$((nth + 1)); done; '
    count += f'echo ${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID > "{notes}/$nth/job"'
    lines = [f'export PYTHONPATH="{Path(__file__).parents[2]}"', count, *prologue]
    values = {"jobs": 2, "memory": "1 GiB", "minutes": 10, "interface": "lo", "prologue": lines} | settings
    path = folder / "slurm.toml"
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    path.write_text(f'[run]\nscheduler = "slurm"\n[run.slurm]\n{text}\n')
    return path


def ask(*words):
    """What a command of Slurm prints."""
    return subprocess.run(
        [*map(str, words)], check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def state(job):
    return re.search(r"JobState=(\w+)", ask("scontrol", "show", "job", job))[1]


def ended(job):
    return state(job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")


def tasks_of(dataset):
    """The tasks that ended in the latest run."""
    logs = log_files(dataset)
    return [event for event in (events(logs[-1]) if logs else ()) if event["event"] == "task"]


def of_jobs():
    """The environment of jobs: spectralearth-build is on the path, and processes talk over loopback only."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return environment(PATH=path, GLOO_SOCKET_IFNAME="lo", MASTER_ADDR="127.0.0.1", OMP_NUM_THREADS="1")


def of_command(*words, **options):
    """What a command prints that submits jobs."""
    done = subprocess.run(
        [str(word) for word in words],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env=of_jobs(),
        **options,
    )
    return done.stdout.strip()


def submit(script, *arguments, before=(), **options):
    """Submit a script with arguments; returns the id of the job."""
    return of_command("sbatch", "--parsable", *before, script, *arguments, **options)


def running_jobs():
    return ask("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()


def job_with_worker(folder, number):
    """The id of a job of the run, by its number, as soon as the scheduler knows its worker."""
    note = folder / "jobs" / str(number) / "job"
    job = note.read_text().strip() if note.is_file() else ""
    logs = (folder / "d" / "work" / "logs").glob(f"*/{job}.out")
    return job if job and any("Registered to" in log.read_text(errors="replace") for log in logs) else ""


def while_running(process, condition):
    """What ``condition`` returns, once it is true; the process may not end before."""
    found = wait_for(lambda: condition() or (process if process.poll() is not None else None))
    assert found is not process, process.communicate()[0]
    return found


HOG = "import time\nheld = [b'x' * (100 << 20) for _ in range(13)]\ntime.sleep(300)"


def test_a_build_goes_on_when_jobs_are_cancelled_or_reach_their_limits(slurm, archive, expected, tmp_path):
    hog, go, dataset = tmp_path / "hog.py", tmp_path / "go", tmp_path / "d"
    hog.write_text(HOG)
    wait = f'until [ -e "{go}" ]; do sleep 0.2; done'
    config = slurm_settings(tmp_path, [f'if [ $nth = 1 ]; then ({wait}; exec {sys.executable} "{hog}") & fi'])
    with started([*BUILD, archive, dataset, "--config", config, *OPTIONS], stdout=subprocess.PIPE) as build:
        first, second = (while_running(build, lambda n=n: job_with_worker(tmp_path, n)) for n in (0, 1))
        while_running(build, lambda: tasks_of(dataset))
        # One is frozen, with the task that it has, until its time is over. The other takes too much memory.
        ask("scancel", "--full", "--signal=STOP", first)
        ask("scontrol", "update", f"JobId={first}", "EndTime=now")
        go.touch()
        wait_for(lambda: ended(second))
        third = while_running(build, lambda: job_with_worker(tmp_path, 2))
        ask("scancel", third)
        said, _ = build.communicate(timeout=300)
    assert build.returncode == 0, said
    (log,) = dataset.glob(f"work/logs/*/{second}.out")
    assert "Exceeded job memory limit" in log.read_text()
    assert (state(first), state(third)) == ("TIMEOUT", "CANCELLED")
    assert tree(dataset, NOT_COMPARED) == expected
    wait_for(lambda: not ask("squeue", "--noheader"))  # a job that was cancelled takes a moment to end


def test_a_driver_that_is_a_job_goes_on_after_its_time_limit(slurm, archive, expected, tmp_path):
    go, dataset = tmp_path / "go", tmp_path / "d"
    config = slurm_settings(tmp_path, [f'until [ -e "{go}" ]; do sleep 0.2; done'])
    own = ["--time=10", "--mem=2G", f"--output={tmp_path}/driver.out"]
    driver = submit(
        WORKFLOWS / "slurm/build.sbatch", archive, dataset, "--config", config, *OPTIONS, before=own
    )
    wait_for(lambda: (tmp_path / "jobs" / "1").is_dir())  # the worker jobs run, but have no workers
    ask("scontrol", "update", f"JobId={driver}", "EndTime=now+100")  # so two minutes before are over
    wait_for(lambda: "Restarts=1" in ask("scontrol", "show", "job", driver))
    said = (tmp_path / "driver.out").read_text()
    assert "Stopped by SIGTERM" in said
    wait_for(lambda: running_jobs() == [])  # those of the workers were cancelled
    go.touch()
    wait_for(lambda: ended(driver))
    assert state(driver) == "COMPLETED", (tmp_path / "driver.out").read_text()
    assert "everything is sound" in (tmp_path / "driver.out").read_text()
    assert tree(dataset, NOT_COMPARED) == expected


TRAINING = "objective=mae encoder.name=vit_s encoder.patch=8 train.batch=1 train.steps=2 train.device=cpu"


def test_an_array_without_dask_cuts_shares_and_a_chained_job_trains_on_them(
    slurm, archive, expected, tmp_path
):
    dataset = tmp_path / "d"
    array = [WORKFLOWS / "slurm/array.sh", archive, dataset, 3, "--scheduler", "inline", *OPTIONS]
    last = of_command(*array, cwd=tmp_path)
    settings = [word for setting in TRAINING.split() for word in ("--set", setting)]
    own = ["--ntasks-per-node=2", "--cpus-per-task=1", "--mem=6G", f"--dependency=afterok:{last}"]
    training = submit(
        WORKFLOWS / "slurm/train.sbatch", dataset, tmp_path / "run", *settings, before=own, cwd=tmp_path
    )
    wait_for(lambda: ended(last))
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.out")}
    assert state(last) == "COMPLETED", logs
    assert [("2 tiles cut" in text) for name, text in logs.items() if "-cut-" in name] == [True] * 3, logs
    assert "nothing to do" in logs[f"spectralearth-build-{last}.out"]
    assert tree(dataset, NOT_COMPARED) == expected
    wait_for(lambda: ended(training))
    said = (tmp_path / f"spectralearth-pretrain-{training}.out").read_text()
    assert state(training) == "COMPLETED", said
    (saved,) = (tmp_path / "run" / "checkpoints").glob("*")
    state_of_run = torch.load(saved / "state.pt", weights_only=True)
    assert state_of_run["step"] == len(state_of_run["random"]) == 2  # two steps, and two processes took part
    assert (tmp_path / "run" / "encoder.safetensors").is_file()
    shutil.rmtree(tmp_path / "run")  # 400 MB


def failed_build(archive, dataset, config):
    """What a build says that the batch system makes impossible."""
    command = [str(word) for word in (*BUILD, archive, dataset, "--config", config)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment(), check=False
    )
    assert done.returncode == 69, done.stdout
    wait_for(lambda: not ask("squeue", "--noheader"))  # a job that was cancelled takes a moment to end
    return done.stderr


def test_jobs_that_die_at_once_end_the_run_with_their_words(slurm, archive, tmp_path):
    config = slurm_settings(tmp_path, ["echo no such module; exit 3"], jobs=1)
    said = failed_build(archive, tmp_path / "d", config)
    assert "The last 3 jobs ended before a worker was there." in said
    assert "no such module" in said


def test_a_refusal_of_sbatch_ends_the_run_with_its_words(slurm, archive, tmp_path):
    config = slurm_settings(tmp_path, [], partition="nosuch")
    said = failed_build(archive, tmp_path / "d", config)
    assert "invalid partition" in said
