"""`verify --archive` with an archive that is not the dataset's, or not all of it: no damage of the dataset."""

import shutil

import pytest

from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

INLINE = ("--scheduler", "inline")


@pytest.fixture
def copies(archive, built, tmp_path):
    return shutil.copytree(archive, tmp_path / "archive"), shutil.copytree(built, tmp_path / "dataset")


def test_another_archive_is_named_as_such(call, built, tmp_path):
    write_noise_tile(tmp_path / "other", 9)
    done = call("verify", built, "--archive", tmp_path / "other", *INLINE)
    assert done.exit_code == 2
    assert "The archive contains none of the 2 products of the dataset, such as ENMAP01" in done.output
    assert "Give the archive that the dataset was built from" in done.output
    assert "damaged" not in done.output


def test_an_empty_archive_is_away(call, built, tmp_path):
    (tmp_path / "empty").mkdir()
    done = call("verify", built, "--archive", tmp_path / "empty", *INLINE)
    assert done.exit_code == 69
    assert "damaged" not in done.output


def test_a_product_that_is_gone_cannot_be_compared(call, copies):
    archive, dataset = copies
    gone = sorted(archive.iterdir())[0]
    shutil.rmtree(gone)
    before = tree(dataset, but=())
    done = call("verify", dataset, "--archive", archive, *INLINE)
    assert done.exit_code == 2
    assert (
        "Some patches could not be compared, because products are not in the archive: DT0000000001_001."
        in done.output
    )
    assert "damaged" not in done.output
    assert "everything is sound" not in done.output
    assert tree(dataset, but=()) == before


def test_real_damage_beside_it_is_still_damage(call, copies):
    archive, dataset = copies
    shutil.rmtree(sorted(archive.iterdir())[0])
    (dataset / "plan.png").write_bytes(b"no picture")
    done = call("verify", dataset, "--archive", archive, *INLINE)
    assert done.exit_code == 1
    assert "verify: damaged in 1 point\n" in done.output
