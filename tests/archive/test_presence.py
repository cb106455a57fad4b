"""What tells an archive that went away from a product that is broken."""

import os
import pickle
import subprocess
import sys

import pytest

from spectralearth_build.archive.discover import find_products
from spectralearth_build.archive.presence import mount_of, noted, presence_check, require_archive
from spectralearth_build.errors import ArchiveError


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    for name in "abcdefgh":
        (folder / name).mkdir(parents=True)
        (folder / name / "METADATA.XML").write_text(f"of {name}")
    return folder


def test_what_was_seen_is_seen_again_also_elsewhere(archive):
    seen = presence_check(archive, "abcdefgh")
    seen()
    assert len(pickle.dumps(seen)) < 4000
    pickle.loads(pickle.dumps(seen))()
    (seen.file_systems[0].files[0].path).unlink()  # one product goes: no fault of the archive
    seen()


def test_an_archive_that_goes_away_is_missed_and_found_again(archive, tmp_path):
    seen = presence_check(archive, "abcdefgh")
    archive.rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="No such file") as caught:
        seen()
    assert str(archive) in str(caught.value)
    assert str(mount_of(archive)) in str(caught.value)
    archive.mkdir()
    with pytest.raises(ArchiveError):
        seen()
    with pytest.raises(ArchiveError, match="empty"):
        require_archive(archive)
    archive.rmdir()
    (tmp_path / "elsewhere").rename(archive)
    seen()


def test_another_folder_in_its_place_is_not_taken_for_it(archive):
    seen = presence_check(archive, "abcdefgh")
    for file in archive.rglob("*.XML"):
        file.write_text("OF " + file.parent.name)
    with pytest.raises(ArchiveError, match="other files"):
        seen()


def test_an_archive_of_which_no_product_is_there(archive):
    with pytest.raises(ArchiveError, match="none of 2 products is there"):
        presence_check(archive, ["x", "y!z"])
    with pytest.raises(ArchiveError, match="No such file"):
        require_archive(archive / "x")
    assert presence_check(archive, ["x", "a"]).file_systems


def test_a_folder_that_cannot_be_listed_is_no_product(tmp_path):
    with pytest.raises(ArchiveError, match="No such file"):
        find_products(tmp_path / "absent")


def test_a_note_is_seen_in_its_dataset_only_and_goes(tmp_path):
    with noted(tmp_path / "dataset") as ground:
        assert ground.fault() == ""
        copy = tmp_path / "other"
        (tmp_path / "dataset").rename(copy)
        assert "No such file" in ground.fault()
        copy.rename(tmp_path / "dataset")
    assert not list((tmp_path / "dataset/work").iterdir())


MOUNTED = """
import os, subprocess, sys
from pathlib import Path
from spectralearth_build.archive.presence import mount_of, presence_check
from spectralearth_build.errors import ArchiveError

root = Path(sys.argv[1])
def mount(*arguments): subprocess.run(["mount", *map(str, arguments)], check=True)
mount("-t", "tmpfs", "tmpfs", root / "a")
(root / "a/METADATA.XML").write_text("on a disk of its own")
seen = presence_check(root, "abcdefgh")
assert {each.mount for each in seen.file_systems} == {root / "a", mount_of(root)}, seen
seen()
subprocess.run(["umount", "-l", root / "a"], check=True)
try:
    seen()
except ArchiveError as error:
    assert f"Its file system, {root / 'a'}, is no longer mounted" in str(error), error
else:
    raise AssertionError("a disk went, and nobody noticed")
# What the kernel answers for memory that is not there is what a disk answers for a bad sector: EIO.
mount("--bind", "/proc/self/mem", root / "b/METADATA.XML")
presence_check(root, "bcd")()
for name in "cdefgh":
    mount("--bind", "/proc/self/mem", root / name / "METADATA.XML")
try:
    presence_check(root, "bcdefgh")
except ArchiveError as error:
    assert "none of 7 products is there" in str(error), error
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="mounts as on Linux")
def test_disks_of_which_one_goes_or_fails(archive):
    """In a mount namespace of its own, so that nothing is left of it."""
    try:
        subprocess.run(["unshare", "-m", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no mount namespace can be made here: {error}")
    command = ["unshare", "-m", sys.executable, "-c", MOUNTED, str(archive)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr
