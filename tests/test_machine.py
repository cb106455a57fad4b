"""A machine, or an environment, that makes every product fail is refused with the variable and what to type."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from spectralearth_build.machine import check_machine, clock_note, memory_limit

ROOT = Path(__file__).parents[1]
CHECK = "from spectralearth_build.machine import check_machine; check_machine()"


@pytest.fixture(scope="module")
def old_proj(tmp_path_factory):
    """The data of a PROJ of long ago, as conda or a distribution leaves them: a database of an older layout."""
    folder = tmp_path_factory.mktemp("proj")
    with sqlite3.connect(folder / "proj.db") as database:
        database.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        for name, value in (("MAJOR", "1"), ("MINOR", "0")):
            database.execute("INSERT INTO metadata VALUES (?, ?)", (f"DATABASE.LAYOUT.VERSION.{name}", value))
    database.close()
    return folder


def run(*words, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PROJ_", "GDAL_"))}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("name", ["PROJ_DATA", "PROJ_LIB"])
def test_the_data_of_another_proj(name, old_proj):
    done = run("-c", CHECK, **{name: str(old_proj)}, LD_LIBRARY_PATH="/nonexistent")
    assert "MachineError" in done.stderr
    assert f"Type `unset {name}` and" in done.stderr
    assert f"{name}={old_proj}" in done.stderr


def test_a_gdal_without_its_driver():
    done = run("-c", CHECK, GDAL_SKIP="GTiff", PROJ_NETWORK="OFF")
    assert "Type `unset GDAL_SKIP` and" in done.stderr


def test_variables_that_do_no_harm_are_left_alone():
    assert run("-c", CHECK, GDAL_DATA="/nonexistent", GDAL_DRIVER_PATH="/nonexistent").returncode == 0


@pytest.mark.slow
def test_a_build_ends_before_it_judges_any_product(old_proj, tmp_path):
    """Exit code 2, and nothing that a later build would have to forget."""
    (tmp_path / "archive/product").mkdir(parents=True)
    (tmp_path / "archive/product/METADATA.XML").write_text("<a/>")
    words = (
        "-m",
        "spectralearth_build",
        "build",
        tmp_path / "archive",
        tmp_path / "d",
        "--scheduler",
        "inline",
    )
    done = run(*words, PROJ_DATA=str(old_proj))
    assert done.returncode == 2, done.stderr
    assert "unset PROJ_DATA" in done.stderr
    assert not list((tmp_path / "d").rglob("*"))


@pytest.mark.slow
def test_few_open_files_become_more_or_are_refused():
    ask = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, {}); " + CHECK
    more = run("-c", ask.format("(64, 512)") + "; print(r.getrlimit(r.RLIMIT_NOFILE))")
    assert more.stdout == "(512, 512)\n", more.stderr
    assert "ulimit -n 256" in run("-c", ask.format("(64, 64)")).stderr


def test_no_folder_for_temporary_files():
    """Where nothing can be written to, /tmp among them: as in a container with a read-only root."""
    blocked = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/dev/null/no']; "
    assert "export TMPDIR=" in run("-c", blocked + CHECK).stderr


def test_this_machine_works():
    check_machine()
    assert clock_note() == ""
    assert "clock says 1970" in clock_note(0)


def test_the_memory_of_a_job_is_that_of_its_groups(tmp_path, monkeypatch):
    """Files as the kernel shows them to a job of SLURM with control groups of version 2, and to one of version 1."""
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    assert memory_limit(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    groups = tmp_path / "proc/self/cgroup"

    def limit(path, text):
        file = tmp_path / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    groups.write_text("0::/system.slice/slurmstepd.scope/job_7/step_0/user\n")
    limit("system.slice/slurmstepd.scope/job_7/memory.max", "8589934592\n")
    limit("system.slice/slurmstepd.scope/job_7/step_0/memory.max", "max\n")
    limit("system.slice/memory.max", "64424509440\n")
    assert memory_limit(tmp_path) == 8 * 2**30
    groups.write_text("5:cpu,cpuacct:/slurm/job_7\n4:memory:/slurm/uid_5/job_7\n1:name=systemd:/x\n")
    limit("memory/slurm/uid_5/job_7/memory.limit_in_bytes", "4294967296\n")
    limit("memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert memory_limit(tmp_path) == 4 * 2**30
    groups.write_text("4:memory:/\n")
    assert memory_limit(tmp_path) == 9223372036854771712
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2048")  # without groups, it is what the job asked for
    assert memory_limit(tmp_path) == 2 * 2**30
    for all_of_it in ("0", "", "all"):  # --mem=0 asks for all memory of the node
        monkeypatch.setenv("SLURM_MEM_PER_NODE", all_of_it)
        assert memory_limit(tmp_path) == 9223372036854771712
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1024")
    assert memory_limit(tmp_path) == 9223372036854771712  # of an unknown number of cores
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert memory_limit(tmp_path) == 3 * 2**30


READS = {
    "archive": (
        "from spectralearth_build.archive.raster import open_raster\n"
        "with open_raster(Path(sys.argv[1])) as file: file.read()"
    ),
    "labels": (
        "from spectralearth_build.labels.label_raster import open_label_raster\n"
        "from tests.labels.test_label_source import on_patch\n"
        "with open_label_raster(Path(sys.argv[1])) as file: on_patch(file, 32632, 500_015, 4_996_985, 'nearest')"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", READS)
def test_gdal_is_not_told_to_overlook_torn_blocks(tmp_path, what):
    """A variable that some set for other work would make zeros of what an interrupted download lacks.

    In a process of its own, since GDAL would keep the setting.
    """
    import numpy as np
    import rasterio

    path = tmp_path / "x.tif"
    pixels = np.random.default_rng(1).integers(0, 9999, (1, 256, 256)).astype(np.int16)
    profile = {
        "driver": "GTiff",
        "dtype": "int16",
        "count": 1,
        "height": 256,
        "width": 256,
        "crs": "EPSG:32632",
    }
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(30, 0, 5e5, 0, -30, 5e6)) as file:
        file.write(pixels)
    os.truncate(path, path.stat().st_size - 40_000)
    program = f"import sys\nfrom pathlib import Path\n{READS[what]}"
    variables = {**os.environ, "GTIFF_IGNORE_READ_ERRORS": "YES"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, env=variables, cwd=ROOT
    )
    assert done.returncode == 1
    assert "The raster cannot be read" in done.stderr.splitlines()[-1]
