"""P7: no room, no inodes, read-only: the run stops at once, says what to do, and goes on when there is room again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest

from spectralearth_build import pipeline
from spectralearth_build.checking.verify import verify
from spectralearth_build.cli.codes import NO_SPACE, code_of, message_of
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting.space import outstanding_bytes
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import OutOfSpaceError
from spectralearth_build.store.index import encode_index
from tests.support.files import tree
from tests.support.small_archive import CONFIG, archive_of, run_stages


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("space") / "archive", 1, 2)


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory):
    return tree(run_stages(archive, tmp_path_factory.mktemp("sound") / "d"))


def command(*arguments):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"not permitted here: {' '.join(map(str, arguments))}: {done.stderr.strip()}")


@contextmanager
def mounted(folder, *arguments):
    """A file system at ``folder``; skips the test where mounting is not allowed."""
    folder.mkdir()
    command("mount", *arguments, folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def tmpfs(folder, options):
    with mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs"):
        yield lambda more: command("mount", "-o", f"remount,{more}", folder)


def stopped(archive, dataset):
    """Run into the wall; the error."""
    with pytest.raises((OutOfSpaceError, OSError)) as caught:
        run_stages(archive, dataset)
    assert code_of(caught.value) == NO_SPACE, repr(caught.value)
    assert not list(dataset.glob("store.zarr/zarr.json"))
    return caught.value


@pytest.mark.parametrize("kilobytes", [24, 88, 200, 300])
def test_no_space_at_several_places(archive, expected, tmp_path, kilobytes):
    with tmpfs(tmp_path / "m", f"size={kilobytes}k") as remount:
        stopped(archive, tmp_path / "m" / "d")
        stopped(archive, tmp_path / "m" / "d")
        remount("size=16m")
        run_stages(archive, tmp_path / "m" / "d")
        assert tree(tmp_path / "m" / "d") == expected


@pytest.mark.parametrize("inodes", [6, 20, 40])
def test_no_inodes(archive, expected, tmp_path, inodes):
    with tmpfs(tmp_path / "m", f"size=16m,nr_inodes={inodes}") as remount:
        stopped(archive, tmp_path / "m" / "d")
        remount("nr_inodes=1000")
        run_stages(archive, tmp_path / "m" / "d")
        assert tree(tmp_path / "m" / "d") == expected


def test_no_inodes_on_a_real_file_system(archive, expected, tmp_path):
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    command("mkfs.ext4", "-q", "-N", "64", image)
    with mounted(tmp_path / "m", "-o", "loop", image) as disk:
        ballast = [disk / f"ballast{number}" for number in range(30)]
        for path in ballast:
            path.touch()
        stopped(archive, disk / "d")
        for path in ballast:
            path.unlink()
        with pytest.raises((OutOfSpaceError, OSError)):
            run_stages(archive, disk / "d")
        shutil.move(disk / "d", tmp_path / "d")  # this disk is too small for the whole
    run_stages(archive, tmp_path / "d")
    assert tree(tmp_path / "d") == expected


def test_read_only(archive, expected, tmp_path):
    with tmpfs(tmp_path / "m", "size=16m") as remount:
        remount("ro")
        message = message_of(stopped(archive, tmp_path / "m" / "d"))
        assert "Read-only" in message
        assert "Make it writable" in message
        assert str(tmp_path / "m") in message
        remount("rw")
        run_stages(archive, tmp_path / "m" / "d")
        assert tree(tmp_path / "m" / "d") == expected


def test_what_will_not_fit_is_not_begun(archive, tmp_path):
    asked = CONFIG.model_copy(update={"run": CONFIG.run.model_copy(update={"check_space": True})})
    with tmpfs(tmp_path / "m", "size=2m"):
        with pytest.raises(OutOfSpaceError, match=r"Cutting will write about 8.* MiB, but only .* are free"):
            run_stages(archive, tmp_path / "m" / "d", config=asked)
        assert not (tmp_path / "m" / "d" / "commits").exists()
        run_stages(archive, tmp_path / "m" / "d")
        run = pipeline.Run(tmp_path / "m" / "d", asked, InlineExecutor())
        assert outstanding_bytes(run.dataset) > 0


@pytest.mark.parametrize("kilobytes", [8, 16])
def test_no_room_in_the_system_folder_for_temporary_files(
    archive, expected, tmp_path, monkeypatch, kilobytes
):
    """Libspatialindex says nothing when its files are cut short; the dataset's own disk has room."""
    with tmpfs(tmp_path / "tmp", f"size={kilobytes}k"):
        (tmp_path / "tmp" / "ballast").write_bytes(bytes((kilobytes - 4) << 10))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        run_stages(archive, tmp_path / "d")
        assert tree(tmp_path / "d") == expected
        assert verify(tmp_path / "d") == []
        found = open_dataset(tmp_path / "d").query(bbox=(-180, -90, 180, 90))
        assert len(found) == 3
        assert not (tmp_path / "d" / "work" / "scratch").exists()


@pytest.mark.parametrize("kilobytes", [4, 16, 64, 160])
def test_an_index_that_has_no_room_is_not_vouched_for(tmp_path, kilobytes):
    row = np.arange(3000)
    boxes = [(row, np.stack([row / 100, 0 * row, row / 100 + 0.05, 0 * row + 0.05], axis=1))]
    with tmpfs(tmp_path / "m", f"size={kilobytes}k"):
        with pytest.raises(OutOfSpaceError):
            encode_index(boxes, tmp_path / "m")
        assert list((tmp_path / "m").iterdir()) == []
    assert sorted(encode_index(boxes, tmp_path)) == ["locations.dat", "locations.idx"]
