"""P2, P3 of labels: a pairing stopped before any rename, delete or fsync, and in the middle of any write."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.labels.pair import pair
from spectralearth_build.layout import ROOT
from spectralearth_build.progress import set_quiet
from spectralearth_build.store import labels, shard
from tests.support.files import tree
from tests.support.invariants import violations
from tests.support.recorded_disk import Disk
from tests.support.small_archive import archive_of, run_stages

STEP = 3
"""Of the states, every how many is resumed where not all are asked for."""


def write_raster(path, seed):
    codes = np.random.default_rng(seed).integers(1, 45, (300, 300)).astype(np.uint8)
    place = Affine(40, 0, 466_000, 0, -40, 5_492_000)
    shape = {"width": 300, "height": 300, "count": 1, "dtype": "uint8", "crs": "EPSG:32633", "nodata": 48}
    with rasterio.open(path, "w", "GTiff", transform=place, **shape) as file:
        file.write(codes, 1)
    return path


def run(dataset, *rasters, anew=False):
    given = tuple(Given(str(raster), 2018 + 6 * n) for n, raster in enumerate(rasters))
    set_quiet(True)
    pair(dataset, [Request("corine", given, "corine44")], InlineExecutor(), anew)
    set_quiet(False)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """A finished dataset without labels, and two rasters."""
    folder = tmp_path_factory.mktemp("labels")
    archive_of(folder / "archive", 1, 2)
    run_stages(folder / "archive", folder / "d")
    return folder / "d", [write_raster(folder / f"{seed}.tif", seed) for seed in (1, 2)]


def watched(dataset, target, *rasters, anew=False):
    """Every moment of a pairing of a copy."""
    shutil.copytree(dataset, target)
    disk = Disk(target)
    with disk.watched():
        run(target, *rasters, anew=anew)
    return disk


def wrong(disk):
    return [f"{name}: {what}" for name, state in disk.states() for what in violations(state, disk.content)]


def resume(disk, folder, every, *rasters, anew=False):
    """Run again from what crashes leave; how many."""
    expected = tree(disk.folder)
    states = {state.without_partials(): (name, state) for name, state in disk.states()}
    chosen = list(states.values())[::every]
    print(f"{len(disk.points)} points, {len(states)} different states, {len(chosen)} resumed")
    for number, (name, state) in enumerate(chosen):
        dataset = disk.restore(state, folder / str(number))
        run(dataset, *rasters, anew=anew)
        assert tree(dataset) == expected, name
    return len(chosen)


def test_a_first_pairing(ground, tmp_path, every_point):
    dataset, (raster, _) = ground
    disk = watched(dataset, tmp_path / "d", raster)
    assert len(disk.points) > 40
    assert not wrong(disk)
    assert any(ROOT in state.files for name, state in disk.states() if "c.0.0.0" in name)  # open meanwhile
    assert resume(disk, tmp_path, 1 if every_point else STEP, raster) > 3


def test_labels_made_anew_of_other_rasters(ground, tmp_path, every_point):
    dataset, rasters = ground
    shutil.copytree(dataset, tmp_path / "before")
    run(tmp_path / "before", rasters[0])
    disk = watched(tmp_path / "before", tmp_path / "d", *rasters, anew=True)
    assert not wrong(disk)
    assert resume(disk, tmp_path, 1 if every_point else STEP, *rasters, anew=True) > 3


@pytest.mark.parametrize("bug", ["record first", "root stays"])
def test_the_laboratory_sees_planted_bugs(bug, ground, tmp_path, monkeypatch):
    dataset, rasters = ground
    shutil.copytree(dataset, tmp_path / "before")
    run(tmp_path / "before", rasters[0])
    if bug == "record first":
        real = shard.replacing
        monkeypatch.setattr(shard, "replacing", lambda path: real(path.with_name(f"{path.name}.late")))
        write = labels.LabelRecord.write

        def late(record, dataset):
            write(record, dataset)
            path = dataset / record.shard_name
            path.with_name(f"{path.name}.late").replace(path)

        monkeypatch.setattr(labels.LabelRecord, "write", late)
    else:
        from spectralearth_build.labels import pair as stage

        removed = stage.remove
        monkeypatch.setattr(stage, "remove", lambda path: None if path.name == "zarr.json" else removed(path))
    disk = watched(tmp_path / "before", tmp_path / "d", *rasters, anew=True)
    seen = "vouches for a shard" if bug == "record first" else "is not as its manifest says"
    assert [line for line in wrong(disk) if seen in line]
