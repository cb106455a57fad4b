"""P2, P3: a build stopped before any rename, delete or fsync, and in the middle of any write.

Planted bugs prove that the laboratory sees what it should.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from contextlib import contextmanager, suppress

import pytest

from spectralearth_build import files
from spectralearth_build.layout import REFLECTANCE, ROOT, shard_path
from spectralearth_build.publishing import publish
from spectralearth_build.store import commit, shard
from tests.support.files import tree
from tests.support.invariants import violations
from tests.support.recorded_disk import Disk
from tests.support.small_archive import archive_of, run_stages, write_tile

RESUMED = 24
"""Of the different states of a new dataset, how many are resumed where not all are asked for; `SEED` says which."""
SEED = 20
GROWING_STEP = 6
"""Of the states of a growing dataset, every how many is resumed where not all are asked for."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("crash") / "archive", 1, 2)


@pytest.fixture(scope="module")
def recorded(archive, tmp_path_factory):
    """An undisturbed build, every moment of it remembered."""
    disk = Disk(tmp_path_factory.mktemp("recorded") / "d")
    with disk.watched():
        run_stages(archive, disk.folder)
    return disk


def wrong(disk):
    found = ((name, violations(state, disk.content)) for name, state in disk.states())
    lost = [f"at the end: {name} is not durable" for name in volatile(disk)]
    return [f"{name}: {what}" for name, all_of_it in found for what in all_of_it] + lost


def volatile(disk):
    """Files of the finished dataset that a power cut would take away."""
    now, strict, _ = (state.files for _, state in disk.points[-1].states())
    return [name for name in now if strict.get(name) != now[name] and not name.startswith("work/")]


def test_nothing_partial_can_be_opened_at_any_moment(recorded):
    assert len(recorded.points) >= 100
    assert not wrong(recorded)


def test_every_crash_is_resumed_to_the_same_bytes(recorded, archive, tmp_path, every_point):
    """In CI a share of the different states, with --every-point each state of each point."""
    expected = tree(recorded.folder)
    states = list(recorded.states())
    different = list({state.without_partials(): (name, state) for name, state in reversed(states)}.values())
    assert len(different) >= 30
    tried = states if every_point else random.Random(SEED).sample(different, RESUMED)
    for number, (name, state) in enumerate(tried):
        dataset = recorded.restore(state, tmp_path / str(number))
        run_stages(archive, dataset)
        assert tree(dataset) == expected, name
    print(f"{len(recorded.points)} points, {len(tried)} of {len(different)} different states resumed")


@contextmanager
def in_place(path):
    files.make_folder(path.parent)
    yield path


@contextmanager
def put_later(path):
    """Shards get their names only when their commit record is written."""
    with files.replacing(path.with_name(f"{path.name}.late")) as temporary:
        yield temporary


def record_first(record, dataset, real=commit.Commit.write):
    real(record, dataset)
    path = shard_path(dataset, record.shard)
    files.move(path.with_name(f"{path.name}.late"), path)


def root_first(dataset, contents, real=publish._replace):
    root = {ROOT: contents[ROOT]}
    return real(dataset, root) | real(dataset, contents)


def unsynced(kind):
    """os.fsync that forgets files or folders."""

    def apply(patch):
        real = os.fsync
        patch.setattr(os, "fsync", lambda fd: None if kind(os.fstat(fd).st_mode) else real(fd))

    return apply


def shard_in_place(patch):
    patch.setattr(shard, "replacing", in_place)


def commit_first(patch):
    patch.setattr(shard, "replacing", put_later)
    patch.setattr(commit.Commit, "write", record_first)


def publish_first(patch):
    patch.setattr(publish, "_replace", root_first)


def new_folders_unsynced(patch):
    patch.setattr(files, "make_folder", lambda folder: folder.mkdir(parents=True, exist_ok=True))


def shards_unsynced(patch):
    real = files._sync_folder
    patch.setattr(files, "_sync_folder", lambda folder: None if folder.name == REFLECTANCE else real(folder))


PLANTED = {
    "a shard written in place": (shard_in_place, "c.0.0.0.0 bears its name and is not whole"),
    "the commit record before its shard": (commit_first, "vouches for a shard that is not there"),
    "the root before the rest": (publish_first, "it can be opened and"),
    "files not synced": (unsynced(stat.S_ISREG), "bears its name and is not whole"),
    "folders not synced": (unsynced(stat.S_ISDIR), "at the end: store.zarr/zarr.json is not durable"),
    "the shards' folder not synced": (shards_unsynced, "vouches for a shard that is not there"),
    "new folders not synced": (new_folders_unsynced, "vouches for a shard that is not there"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_the_laboratory_sees_planted_bugs(bug, archive, tmp_path, monkeypatch):
    plant, seen = PLANTED[bug]
    disk = Disk(tmp_path / "d")
    with disk.watched(), monkeypatch.context() as patch, suppress(FileNotFoundError):
        plant(patch)
        run_stages(archive, disk.folder)
    assert [line for line in wrong(disk) if seen in line]


@pytest.fixture(scope="module")
def grown(recorded, tmp_path_factory):
    """The growth of a finished dataset by a tile, every moment of it remembered."""
    folder = tmp_path_factory.mktemp("grown")
    for number in (1, 2, 3):
        write_tile(folder / "archive", number)
    shutil.copytree(recorded.folder, folder / "d")
    disk = Disk(folder / "d")
    with disk.watched():
        run_stages(folder / "archive", disk.folder)
    return folder / "archive", disk


def test_growing_is_as_safe(grown, tmp_path, every_point):
    archive, disk = grown
    assert not wrong(disk)
    expected = tree(disk.folder)
    states = {state.without_partials(): (name, state) for name, state in disk.states()}
    for number, (name, state) in enumerate(list(states.values())[:: 1 if every_point else GROWING_STEP]):
        dataset = disk.restore(state, tmp_path / str(number))
        run_stages(archive, dataset)
        assert tree(dataset) == expected, name
