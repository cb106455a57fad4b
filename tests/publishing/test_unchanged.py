"""Publishing again reads nothing if no file has changed, and everything if any has."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from spectralearth_build.errors import OutOfSpaceError, UsageError
from spectralearth_build.layout import PUBLISHED, ROOT
from spectralearth_build.publishing import publish as module
from spectralearth_build.publishing.publish import publish
from spectralearth_build.publishing.unchanged import unchanged
from tests.support.files import flip_bit, tree
from tests.support.store_study import B1, replace_file


@pytest.fixture
def published(finished):
    """A dataset of one's own that was published where it is."""
    publish(finished.dataset)
    return finished


@pytest.fixture
def counted(monkeypatch):
    """How many commit records were parsed."""
    parsed = []

    def counting(data, real=module.read_committed.__globals__["records"].__globals__["decode"]):
        parsed.append(len(data))
        return real(data)

    monkeypatch.setattr("spectralearth_build.store.commit.decode", counting)
    return parsed


def test_nothing_is_read_again(published, counted):
    assert unchanged(published.dataset) is not None
    done = publish(published.dataset)
    assert (done.changed, done.written, done.skipped, done.failed) == (False, 8, 0, ())
    assert counted == []
    assert not publish(published.dataset, anew=True).changed
    assert len(counted) == 5


def test_cutting_again_reads_nothing(published, counted):
    done = published.run()
    assert (done.tiles_cut, done.published, done.written) == (0, False, 8)
    assert len(counted) == 1  # one shows that something was written


def test_a_copy_is_read_again(published, counted, tmp_path):
    shutil.copytree(published.dataset, tmp_path / "copy")
    assert unchanged(tmp_path / "copy") is None
    assert not publish(tmp_path / "copy").changed
    assert len(counted) == 5
    assert unchanged(tmp_path / "copy") is not None


@pytest.mark.parametrize(
    "name", ["statistics.json", "patches.parquet", "store.zarr/west/c.0", ROOT, "manifest.json"]
)
def test_a_changed_file_is_made_again(published, finished_study, name):
    flip_bit(published.dataset / name, 77)
    if name == "patches.parquet":
        assert unchanged(published.dataset) is None
        return
    assert publish(published.dataset).changed
    assert tree(published.dataset) == tree(finished_study.dataset)


def test_a_change_that_keeps_the_time_is_seen(published):
    path = published.dataset / "statistics.json"
    seen = path.stat()
    flip_bit(path, 77)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert unchanged(published.dataset) is None


@pytest.mark.parametrize("name", ["commits/shard-00000002.json", "store.zarr/reflectance/c.2.0.0.0"])
@pytest.mark.parametrize("how", ["gone", "short"])
def test_a_lost_or_shortened_shard_or_record_is_noticed(published, name, how):
    path = published.dataset / name
    path.unlink() if how == "gone" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match="1 of 5 shards are not cut yet"):
        publish(published.dataset)
    assert published.run().tiles_cut == 1


def test_another_library_is_noticed(published, monkeypatch):
    monkeypatch.setattr("spectralearth_build.publishing.unchanged.versions", lambda: {"numpy": "0"})
    assert unchanged(published.dataset) is None


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "Permission denied"), OutOfSpaceError("No space left.")]
)
def test_a_note_that_cannot_be_written_fails_no_publication(finished, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("spectralearth_build.publishing.unchanged.write_bytes", refuse)
    (finished.dataset / PUBLISHED).unlink(missing_ok=True)
    flip_bit(finished.dataset / "statistics.json", 77)
    assert publish(finished.dataset).changed
    assert unchanged(finished.dataset) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"{"])
def test_a_damaged_note_means_nothing(published, content):
    (published.dataset / PUBLISHED).write_bytes(content)
    assert unchanged(published.dataset) is None
    assert not publish(published.dataset).changed
    assert unchanged(published.dataset) is not None


def test_a_failed_tile_is_remembered_and_tried_when_it_is_mended(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)
    image = study.image(B1).read_bytes()
    replace_file(study.image(B1), b"")
    study.forget(3, 4)
    study.run()
    known = unchanged(study.dataset)
    assert (known.written, known.failed, known.missing) == (5, (B1,), (3, 4))
    again = study.run()
    assert (again.tiles_cut, again.published, again.failed) == (0, False, (B1,))
    replace_file(study.image(B1), image)
    assert study.run().written == 8
    assert tree(study.dataset) == tree(finished_study.dataset)
