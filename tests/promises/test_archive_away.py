"""An archive that goes away, as a whole or for one worker, convicts no product; a bad sector one, for a while."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
from distributed import Client

from spectralearth_build.archive.record import FORMAT
from spectralearth_build.checking.verify import verify
from spectralearth_build.cli.codes import code_of
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import ArchiveError
from spectralearth_build.layout import FAILED
from spectralearth_build.pipeline import Run
from spectralearth_build.store.failed_tiles import FailedTile, failed_path, stamp
from spectralearth_build.tables import QUARANTINE
from tests.support.files import tree
from tests.support.processes import environment
from tests.support.small_archive import CONFIG, run_stages, spec_of, write_tile

TILES_HERE = (1, 2, 3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive, and the files of a build that nothing disturbed."""
    top = tmp_path_factory.mktemp("away")
    for number in TILES_HERE:
        write_tile(top / "archive", number)
    run_stages(top / "archive", top / "sound")
    return top / "archive", tree(top / "sound")


@pytest.fixture
def archive(made, tmp_path):
    """The same archive, as another path that may go."""
    archive, _ = made
    place = tmp_path / "mnt"
    place.mkdir()
    for product in archive.iterdir():
        (place / product.name).mkdir()
        for file in product.iterdir():
            os.link(file, place / product.name / file.name)
    return place


@pytest.fixture
def sound(made):
    return made[1]


class Unmounting(InlineExecutor):
    """Moves the archive away before the task of a stage that comes second; what is left is an empty mount point."""

    def __init__(self, stage, archive, empty):
        object.__setattr__(self, "workers", 1)
        object.__setattr__(self, "memory_limit", None)
        object.__setattr__(self, "what", (stage, archive, empty))

    def run(self, stage, function, tasks):
        gone, archive, empty = self.what
        for number, (key, arguments) in enumerate(tasks.items()):
            if number == 1 and stage == gone:
                archive.rename(archive.with_name("elsewhere"))
                if empty:
                    archive.mkdir()
            yield from super().run(stage, function, {key: arguments})


@pytest.mark.parametrize(("stage", "empty"), [("scan", True), ("scan", False), ("cut", True), ("cut", False)])
def test_an_archive_that_is_unmounted_stops_the_run_and_convicts_nobody(
    stage, empty, archive, sound, tmp_path
):
    dataset = tmp_path / "d"
    with pytest.raises(ArchiveError) as caught:
        run_stages(archive, dataset, Unmounting(stage, archive, empty))
    assert code_of(caught.value) == 69
    assert "run the same command again" in str(caught.value)
    assert not list((dataset / FAILED).glob("*"))
    assert all(not json.loads(p.read_bytes())["error_class"] for p in (dataset / "work/scan").glob("*.json"))
    if empty:
        archive.rmdir()
    archive.with_name("elsewhere").rename(archive)
    run_stages(archive, dataset)
    assert tree(dataset) == sound


def test_cut_and_verify_of_an_archive_that_is_away_change_nothing_and_call_nothing_damaged(
    archive, sound, tmp_path
):
    dataset = tmp_path / "d"
    run_stages(archive, dataset)
    archive.rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError):
        verify(dataset, archive)
    note = FailedTile("x", spec_of(2).tile_id, "MissingFileError", "gone", "s")
    plan = json.loads((dataset / "plan.json").read_bytes())["generations"][0]["id"]
    FailedTile(plan, *list(vars(note).values())[1:]).write(dataset)
    next(iter((dataset / "commits").glob("*.json"))).unlink()  # something is left to do
    before = tree(dataset)
    with pytest.raises(ArchiveError):
        Run(dataset, CONFIG, InlineExecutor()).cut(archive)
    assert tree(dataset) == before
    (tmp_path / "elsewhere").rename(archive)
    run_stages(archive, dataset)
    assert tree(dataset) == sound


def test_the_only_product_that_is_left_to_cut_is_gone_and_the_archive_is_there(archive, tmp_path):
    dataset = tmp_path / "d"
    run = Run(dataset, CONFIG, InlineExecutor())
    run_stages(archive, dataset)
    (dataset / "commits/shard-00000003.json").unlink()
    shutil.move(archive / spec_of(3).product_id, tmp_path / "gone")
    run.cut(archive)
    found = QUARANTINE.read(dataset)
    assert found[["tile_id", "error_class"]].to_numpy().tolist() == [[spec_of(3).tile_id, "MissingFileError"]]
    shutil.move(tmp_path / "gone", archive / spec_of(3).product_id)
    run.cut(archive)
    assert QUARANTINE.read(dataset).empty


def test_a_verdict_that_an_earlier_version_passed_on_a_failing_disk_is_asked_again(archive, sound, tmp_path):
    """That version called the tile broken, and could not know better; the file is as it was."""
    dataset = tmp_path / "d"
    run = Run(dataset, CONFIG, InlineExecutor())
    run.scan(archive)
    run.plan()
    plan = json.loads((dataset / "plan.json").read_bytes())["generations"][0]["id"]
    tile = spec_of(2)
    note = FailedTile(
        plan, tile.tile_id, "BrokenRasterError", "torn", stamp(archive, tile.product_id), FORMAT
    )
    note.write(dataset)
    run.cut(archive)
    assert QUARANTINE.read(dataset)["tile_id"].tolist() == [tile.tile_id]  # what is in a file stays in it
    old = {key: value for key, value in vars(note).items() if key != "judged"}
    failed_path(dataset, tile.tile_id).write_text(json.dumps(old))
    run.cut(archive)
    assert not failed_path(dataset, tile.tile_id).exists()
    assert tree(dataset) == sound


IN_A_NAMESPACE = """
import os, shutil, subprocess, sys
from pathlib import Path
from tests.support.small_archive import image_of, run_stages, spec_of
from tests.support.files import tree
from spectralearth_build.errors import ArchiveError
from spectralearth_build.tables import QUARANTINE

archive, dataset, disk = map(Path, sys.argv[1:])

def command(*words):
    if subprocess.run(list(map(str, words)), capture_output=True).returncode:
        sys.exit(77)

# A disk of its own for one product. Where the file behind it ends, reading it is an input/output error (EIO).
product, copy = image_of(archive, 2).parent, disk.with_name("copy")
product.rename(copy)
product.mkdir()
os.truncate(os.open(disk, os.O_CREAT | os.O_WRONLY), 24 << 20)
command("mkfs.ext4", "-q", "-F", disk)
command("mount", "-o", "loop", disk, product)
for file in sorted(copy.iterdir()):
    shutil.copy2(file, product)
os.sync()
with image_of(archive, 2).open("rb") as image:
    os.posix_fadvise(image.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
whole, where = disk.read_bytes(), disk.read_bytes().rindex(next(copy.glob("*SPECTRAL_IMAGE.TIF")).read_bytes()[-4096:])
os.truncate(disk, where)
run_stages(archive, dataset)
found = QUARANTINE.read(dataset)
assert found["error_class"].tolist() == ["MediumError"], found["reason"].tolist()
assert found["tile_id"].tolist() == [spec_of(2).tile_id]
assert "Input/output error" in found["reason"].iloc[0]
disk.write_bytes(whole)
run_stages(archive, dataset)
assert len(QUARANTINE.read(dataset)) == 0, "it can be read again, at the same date"
for file in [path for path in archive.rglob("*") if path.is_file()]:
    command("mount", "--bind", f"/proc/{os.getpid()}/mem", file)  # memory that is not there is EIO, too
try:
    run_stages(archive, dataset.with_name("other"))
except ArchiveError as error:
    assert "products is there" in str(error), error
else:
    raise AssertionError("a disk that fails everywhere convicts products")
assert not list(dataset.with_name("other").rglob("*.json"))
print("done")
"""


@contextmanager
def namespace():
    """The command that runs others in a mount namespace of their own."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    yield ["unshare", "-m"]


def test_a_bad_sector_convicts_one_product_until_it_is_mended_and_a_bad_disk_none(archive, tmp_path):
    with namespace() as command:
        script = [sys.executable, "-c", IN_A_NAMESPACE, archive, tmp_path / "d", tmp_path / "disk"]
        done = subprocess.run(
            [*command, *script],
            check=False,
            capture_output=True,
            text=True,
            env=environment(),
        )
    if done.returncode == 77:
        pytest.skip("no loop device can be mounted here")
    assert done.stdout == "done\n", done.stderr


@contextmanager
def cluster(*commands):
    """A scheduler on this machine and a worker for each command that starts one; yields its address."""
    module = [sys.executable, "-m"]
    scheduler = [*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
    quiet = {"stdout": subprocess.DEVNULL, "text": True}
    running = [subprocess.Popen([*scheduler, "--no-dashboard"], stderr=subprocess.PIPE, **quiet)]
    try:
        address = next(line for line in running[0].stderr if "Scheduler at:" in line).split()[-1]
        words = [*module, "distributed.cli.dask_worker", address, *worker]
        running += [
            subprocess.Popen(before + words, stderr=subprocess.DEVNULL, **quiet) for before in commands
        ]
        yield address
    finally:
        for process in reversed(running):
            process.kill()
        for process in running:
            process.wait()
        running[0].stderr.close()


def without(folder):
    """The start of a command that runs where another, empty file system hides a folder."""
    return ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs "{folder}" && exec "$@"', "sh"]


def build(archive, dataset, address, workers):
    settings = CONFIG.model_copy(update={"run": CONFIG.run.model_copy(update={"scheduler": address})})
    with Client(address) as client:
        client.wait_for_workers(workers, timeout=120)
    with connect(settings.run) as executor:
        run_stages(archive, dataset, executor, settings)


def test_a_worker_without_the_mounts_gets_no_tasks_and_convicts_nobody(archive, sound, tmp_path, capsys):
    with namespace():
        (tmp_path / "data").mkdir()
        foreign = ["env", f"PROJ_DATA={tmp_path / 'nothing'}"]
        with cluster([], without(archive), without(tmp_path / "data"), foreign) as address:
            dataset = tmp_path / "data/d"
            build(archive, dataset, address, 4)
    assert tree(dataset) == sound
    assert len(QUARANTINE.read(dataset)) == 0


def test_a_cluster_of_which_no_worker_sees_the_archive(archive, tmp_path):
    blind = without(archive)
    with (
        namespace(),
        cluster(blind, blind) as address,
        pytest.raises(ArchiveError, match="No worker of the cluster sees") as caught,
    ):
        build(archive, tmp_path / "d", address, 2)
    assert code_of(caught.value) == 69
    assert str(archive) in str(caught.value)
