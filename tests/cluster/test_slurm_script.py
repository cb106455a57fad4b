import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spectralearth_build.cluster import connect, slurm
from spectralearth_build.cluster.slurm import host_of, script_of
from spectralearth_build.cluster.slurm_jobs import WorkerJobs
from spectralearth_build.cluster.slurm_script import job_of, lifetime, stagger, worker_memory, worker_script
from spectralearth_build.config import RunConfig, load
from spectralearth_build.errors import ClusterError, ConfigError, UsageError

MIB = 1 << 20
LOOPBACK = {"run.scheduler": "slurm", "run.slurm.interface": "lo"}


def run_of(**settings):
    given = {f"run.slurm.{name}": value for name, value in settings.items()}
    return load(None, LOOPBACK | given).run


def test_the_script_says_what_the_settings_say():
    run = run_of(
        cores=3,
        memory="10 GiB",
        minutes=90,
        partition="cpu",
        account="me",
        directives=["--qos=long"],
        prologue=["module load gdal"],
    )
    text = worker_script(run, "name", Path("/data/my set/logs"), 1000 * MIB)
    lines = text.splitlines()
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert lines[0] == "#!/bin/bash"
    assert directives == [
        "#SBATCH --job-name=name",
        "#SBATCH --output='/data/my set/logs/%A_%a.out'",
        "#SBATCH --partition=cpu",
        "#SBATCH --account=me",
        "#SBATCH --time=90",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --mem=10240M",
        "#SBATCH --no-requeue",
        "#SBATCH --qos=long",
    ]
    command = lines[-1]
    assert lines[-2] == "module load gdal"
    assert "--scheduler-file '/data/my set/logs/scheduler.json'" in command
    assert "--nworkers 3 --nthreads 1 --memory-limit 1048576000 --lifetime 4800s" in command
    assert "--interface lo" in command
    assert "export GDAL_NUM_THREADS=1" in lines
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_folder_may_have_an_odd_name_but_no_line_breaks():
    run = run_of()
    text = worker_script(run, "name", Path("/data/50%j 'new' \u00e9/logs"), 1000 * MIB)
    [output] = [line for line in text.splitlines() if "--output" in line]
    assert shlex.split(output)[1:] == [
        "--output=/data/50%%j 'new' \u00e9/logs/%A_%a.out"
    ]  # %% is a % to sbatch
    for name in ("a\ntouch b", "a\\b", "a\udcff"):
        with pytest.raises(UsageError, match="Rename the folder"):
            worker_script(run, "name", Path("/data") / name, 1000 * MIB)


def test_workers_get_the_settings_of_dask_from_their_environment():
    program = (
        "import dask, distributed; from spectralearth_build.cluster.environment import DASK_SETTINGS as wanted\n"
        "keys = [key for key in wanted if not key.startswith('distributed.scheduler.')]\n"
        "assert len(keys) > 4\n"
        "for key in keys: assert str(dask.config.get(key)) == str(wanted[key]), key\n"
    )
    exports = [line for line in script_of(run_of()).splitlines() if line.startswith("export ")]
    lines = [*exports, f'{sys.executable} -c "{program}"']
    subprocess.run(["bash", "-e"], input="\n".join(lines), text=True, check=True)


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 45), (10, 450), (40, 1800), (60, 3000), (1440, 85800)])
def test_workers_stop_before_their_job_must(minutes, seconds):
    assert lifetime(minutes) == seconds
    assert lifetime(minutes) + stagger(minutes) < 60 * minutes
    assert stagger(minutes) > 0


def test_workers_share_the_memory_that_their_parent_leaves():
    assert worker_memory(run_of(memory="4 GiB", cores=4)) == (4096 - 300) * MIB // 4
    assert worker_memory(run_of(memory="1 GiB"), 724 * MIB) == 724 * MIB
    with pytest.raises(ConfigError, match=r"needs 725\.00 MiB .* may use 724\.00 MiB"):
        worker_memory(run_of(memory="1 GiB"), 725 * MIB)
    with pytest.raises(ConfigError, match="may use 0 B"):
        worker_memory(run_of(memory="200 MiB"))
    with pytest.raises(ConfigError, match=r"run\.slurm\.memory: 'much'"):
        worker_memory(run_of(memory="much"))


def test_jobs_are_known_by_the_names_of_their_workers():
    assert [job_of(name) for name in ("job12_1", "job12_34-0", "job7_2-15")] == ["12_1", "12_34", "7_2"]


def test_the_scheduler_listens_on_one_network_and_on_a_public_one_only_with_encryption(monkeypatch):
    assert host_of(run_of()) == "127.0.0.1"
    with pytest.raises(ConfigError, match="interface is not set"):
        host_of(RunConfig(scheduler="slurm"))
    with pytest.raises(ConfigError, match="nosuch0"):
        host_of(run_of(interface="nosuch0"))
    monkeypatch.setattr(slurm, "get_ip_interface", lambda name: "93.184.216.34")
    with pytest.raises(ConfigError, match=r"public address 93\.184\.216\.34"):
        host_of(run_of(interface="eth0"))
    assert host_of(load(None, LOOPBACK | {"run.tls": "certificates"}).run) == "93.184.216.34"


@pytest.mark.parametrize("setting", ["partition", "account", "interface", "directives", "prologue"])
def test_a_setting_cannot_add_lines_to_the_script(setting):
    text = "debug\nrm -rf /"
    with pytest.raises(ConfigError, match=f"{setting}.*line breaks"):
        run_of(**{setting: [text] if setting in ("directives", "prologue") else text})


def test_a_machine_without_slurm_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no sbatch, squeue, scancel"), connect(run_of()):
        pass


class Queue:
    """Commands of Slurm that answer what the test says, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.answer("sbatch", f'echo x >> {folder}/submitted; echo "$(wc -l < {folder}/submitted);cluster"')
        self.answer("squeue", f"cat {folder}/listed 2>/dev/null || true")
        self.answer("scancel", f'echo "$@" > {folder}/cancelled')

    def answer(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def list(self, *rows):
        (self.folder / "listed").write_text("".join(f"{row}\n" for row in rows))


@pytest.fixture
def queue(tmp_path, monkeypatch):
    queue = Queue(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{queue.folder}:/usr/bin:/bin")
    return queue


def looking(tmp_path, workers, wanted=2):
    """Jobs that ask Slurm at each look."""
    jobs = WorkerJobs(tmp_path / "run", {"worker.sbatch": "#!/bin/bash\n"}, "name", wanted, lambda: workers)

    def look():
        jobs._next = 0.0
        jobs.look()

    return jobs, look


def test_only_what_is_missing_is_submitted(queue, tmp_path, capsys):
    workers = []
    jobs, look = looking(tmp_path, workers)
    look()
    assert "2 jobs submitted: 1" in capsys.readouterr().out
    queue.list("1_1 PENDING Priority", "1_2 RUNNING None")
    look()
    assert "no worker yet; 1 job pending priority, 1 job running none" in capsys.readouterr().out
    workers += ["job1_1-0", "job1_2"]
    look()
    queue.list("1_1 COMPLETING None", "1_2 RUNNING None")
    del workers[0]
    look()
    said = capsys.readouterr().out
    assert "slurm: 1 job ended: 1_1" in said
    assert "1 job submitted: 2" in said
    jobs.cancel()
    assert "--name=name" in (queue.folder / "cancelled").read_text()


def test_jobs_have_the_name_and_the_user_by_which_they_are_found(queue, tmp_path, monkeypatch):
    for name in ("SBATCH_JOB_NAME", "SBATCH_TIMELIMIT", "LOGNAME", "USER"):
        monkeypatch.setenv(name, "other")
    queue.answer("sbatch", f'echo "$@" > {queue.folder}/options; echo "limit $SBATCH_TIMELIMIT" >&2; exit 1')
    queue.answer("squeue", f'echo "$@" > {queue.folder}/asked')
    _, look = looking(tmp_path, [])
    look()
    assert " --job-name=name " in (queue.folder / "options").read_text()  # there, it wins over all others
    assert f" --user={os.getuid()} --name=name " in (queue.folder / "asked").read_text()


def test_jobs_that_die_at_once_end_the_run_only_when_there_is_no_worker(queue, tmp_path):
    workers = []
    _, look = looking(tmp_path, workers, wanted=1)
    queue.list()
    for _ in range(3):
        look()  # submits; the one before ended
    workers.append("job9_1")
    for _ in range(5):
        look()  # as long as another job has a worker, the run goes on
    workers.clear()
    with pytest.raises(ClusterError, match=r"last 6 jobs ended before a worker was there\. They left no log"):
        look()


def test_a_refusal_counts_only_while_nothing_runs(queue, tmp_path, capsys):
    workers = ["job1_1"]
    queue.answer("sbatch", "echo too many jobs >&2; exit 1")
    queue.list("1_1 RUNNING None")
    _, look = looking(tmp_path, workers)
    for _ in range(5):
        look()
    assert capsys.readouterr().out.count("sbatch refuses (too many jobs)") == 1
    workers.clear()
    queue.list()
    look()
    look()
    with pytest.raises(ClusterError, match="sbatch refuses the jobs: too many jobs"):
        look()


def test_a_queue_that_does_not_answer_submits_nothing(queue, tmp_path, capsys):
    queue.answer("squeue", "echo timed out >&2; exit 1")
    jobs, look = looking(tmp_path, [])
    look()
    look()
    assert capsys.readouterr().out.count("squeue does not answer (timed out)") == 1
    assert not (queue.folder / "submitted").exists()
    jobs._answered -= 601
    with pytest.raises(ClusterError, match="squeue does not answer"):
        look()
