"""`repair` and `build --retry-quarantined`, as users call them."""

import shutil

import pytest

from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

INLINE = ("--scheduler", "inline")


@pytest.mark.slow
def test_repair_cuts_again_what_is_damaged(call, archive, built, tmp_path):
    dataset = shutil.copytree(built, tmp_path / "d")
    shard = dataset / "store.zarr/reflectance/c.1.0.0.0"
    shard.write_bytes(shard.read_bytes()[:-100])
    (dataset / "report.html").write_text("gone")
    done = call("repair", dataset, "--archive", archive, *INLINE)
    assert done.exit_code == 0, done.output
    assert "Affected patches: " in done.output
    assert "repair: rebuilt: store.zarr/reflectance/c.1.0.0.0" in done.output
    assert tree(dataset) == tree(built)
    assert "everything is sound" in call("repair", dataset, "--archive", archive, *INLINE).output


def test_repair_is_1_where_the_product_is_gone(call, archive, built, tmp_path):
    dataset = shutil.copytree(built, tmp_path / "d")
    (tmp_path / "empty").mkdir()
    (dataset / "store.zarr/reflectance/c.0.0.0.0").unlink()
    assert call("repair", dataset, "--archive", tmp_path / "empty", *INLINE).exit_code == 69  # not mounted
    rest = shutil.copytree(archive, tmp_path / "rest", ignore=shutil.ignore_patterns("*DT0000000001_*"))
    done = call("repair", dataset, "--archive", rest, *INLINE)
    assert done.exit_code == 1
    assert "cannot be repaired: DT0000000001_001" in done.output


@pytest.mark.slow
def test_what_was_quarantined_is_tried_again_when_asked_to(call, archive, tmp_path):
    own = shutil.copytree(archive, tmp_path / "archive")
    image = next(write_noise_tile(own, 4).glob("*SPECTRAL_IMAGE.TIF"))
    image.write_bytes(b"")
    assert call("build", own, tmp_path / "d", *INLINE).exit_code == 4
    done = call("build", own, tmp_path / "d", *INLINE, "--retry-quarantined")
    assert done.exit_code == 4
    assert "trying 1 quarantined product again" in done.output
