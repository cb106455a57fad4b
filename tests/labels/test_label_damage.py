"""P11 of labels: verify sees whatever happens to their files and names the patches, the same `pair` undoes it."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace

import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.labels.pair import pair
from spectralearth_build.labels.read import open_labels
from spectralearth_build.layout import label_of, label_record, label_shard
from spectralearth_build.pipeline import Run
from spectralearth_build.store.labels import decode_record
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.tables import LABELS, PATCHES
from tests.support.files import flip_bit, tree
from tests.support.pairing_site import CONFIG, CORINE, request, write_raster


@pytest.fixture(scope="module")
def labelled(site, tmp_path_factory):
    dataset = shutil.copytree(site / "d", tmp_path_factory.mktemp("labelled") / "d")
    pair(dataset, [request("corine", site / "corine.tif")], InlineExecutor())
    return dataset


@pytest.fixture
def dataset(labelled, tmp_path):
    return shutil.copytree(labelled, tmp_path / "d")


def own(dataset):
    """Files that are there because of labels."""
    return [name for name in tree(dataset) if label_of(name) or name == LABELS.file or "label_" in name]


def found_in(dataset):
    return {damage.path for damage in verify(dataset)}


@pytest.mark.slow
def test_every_flipped_bit_is_seen(dataset):
    dice = random.Random(7)
    names = own(dataset)
    assert len(names) == 2 * 4 + 3
    for name in names:
        bit = dice.randrange(8 * (dataset / name).stat().st_size)
        flip_bit(dataset / name, bit)
        assert name in found_in(dataset), (name, bit)
        flip_bit(dataset / name, bit)
    assert verify(dataset) == []


@pytest.mark.slow
def test_pair_mends_every_file(dataset, corine):
    """Each of them gone, cut in half or with a flipped bit; some at a time."""
    before = tree(dataset)
    names = own(dataset)
    for turn, some in enumerate((names[::3], names[1::3], names[2::3])):
        for number, name in enumerate(some):
            data = (dataset / name).read_bytes()
            (dataset / name).unlink()
            if (number + turn) % 3 == 1:
                (dataset / name).write_bytes(data[: len(data) // 2])
            if (number + turn) % 3 == 2:
                (dataset / name).write_bytes(data)
                flip_bit(dataset / name, 4 * len(data))
        assert found_in(dataset) >= set(some)
        pair(dataset, [request("corine", corine)], InlineExecutor())
        assert tree(dataset) == before


@pytest.mark.slow
def test_damage_names_the_patches_and_only_their_shard_is_made_again(dataset, corine):
    kept = {path: path.stat().st_ino for path in dataset.rglob("c.*.0.0")}
    path = dataset / label_shard("corine", 1)
    flip_bit(path, 8 * int(ShardReader(path, 2).index[0, 0]) + 80)
    patches = PATCHES.read(dataset)
    hit = patches.loc[patches["shard"] == 1, "patch_id"].tolist()
    assert {damage.patches for damage in verify(dataset) if damage.kind == "ChunkDamaged"} == {tuple(hit[:1])}
    assert pair(dataset, [request("corine", corine)], InlineExecutor()).shards == {"corine": 1}
    assert [p for p, inode in kept.items() if p.stat().st_ino != inode] == [path]
    path.unlink()
    missing = [damage for damage in verify(dataset) if damage.kind == "FileMissing"]
    assert [(damage.path, damage.patches) for damage in missing] == [(label_shard("corine", 1), tuple(hit))]
    label = open_labels(dataset, "corine")
    with pytest.raises(DamagedError, match="Run `pair` again"):
        label.maps(label.table["store_row"])


@pytest.mark.slow
def test_files_of_other_labels_or_too_many(dataset, site, corine, tmp_path):
    before = tree(dataset)
    other = shutil.copytree(site / "d", tmp_path / "other")
    raster = write_raster(tmp_path / "x.tif", 3035, 100, CORINE, seed=9)
    pair(other, [request("corine", raster)], InlineExecutor())
    stale = [label_shard("corine", 2), label_record("corine", 3), LABELS.file]
    for name in stale:
        shutil.copy(other / name, dataset / name)
    extra = [label_shard("corine", 77), label_record("corine", 77), label_record("strange", 1)]
    for name in extra:
        (dataset / name).write_bytes(b"extra")
    assert found_in(dataset) >= {*stale, *extra}
    pair(dataset, [request("corine", corine)], InlineExecutor())
    assert tree(dataset) == before


def test_a_shard_that_got_more_patches_since_is_made_again(dataset, corine):
    """As happens where a patch was skipped first and could be cut later."""
    before = tree(dataset)
    path = dataset / label_record("corine", 0)
    record = decode_record(path.read_bytes())
    replace(record, patches=record.patches[:1]).write(dataset)
    assert pair(dataset, [request("corine", corine)], InlineExecutor()).shards == {"corine": 1}
    assert tree(dataset) == before


@pytest.mark.slow
def test_repair_says_what_labels_need_and_mends_what_follows_from_them(dataset, site):
    before = tree(dataset)
    run = Run(dataset, CONFIG, InlineExecutor())
    for name in (LABELS.file, "store.zarr/label_corine/zarr.json", "statistics.json"):
        (dataset / name).unlink()
    assert run.repair(site / "archive") == []
    assert tree(dataset) == before
    flip_bit(dataset / label_shard("corine", 0), 80)
    left = run.repair(site / "archive")
    assert {damage.path for damage in left} == {label_shard("corine", 0)}


def test_repair_tells_to_run_pair(dataset, site, capsys):
    (dataset / label_record("corine", 0)).unlink()
    Run(dataset, CONFIG, InlineExecutor()).repair(site / "archive")
    assert "labels of corine: repair does not have their rasters. Run `pair` again" in capsys.readouterr().out
    assert (dataset / label_shard("corine", 0)).is_file()


def test_a_damaged_definition_lets_nobody_publish_nor_mix(dataset, site, corine):
    before = tree(dataset)
    flip_bit(dataset / "labels/corine.json", 800)
    (dataset / "statistics.json").unlink()
    with pytest.raises(DamagedError, match="Run `pair` again with the same rasters"):
        Run(dataset, CONFIG, InlineExecutor()).cut(site / "archive")
    with pytest.raises(UsageError, match="its rasters or options were different"):
        pair(dataset, [request("corine", corine, threshold=0.5)], InlineExecutor())
    pair(dataset, [request("corine", corine)], InlineExecutor())
    assert tree(dataset) == before


@pytest.mark.slow
def test_what_is_lost_when_a_dataset_is_published_again_is_said_and_comes_back(dataset, site, corine, capsys):
    before = tree(dataset)
    (dataset / label_shard("corine", 0)).unlink()
    Run(dataset, CONFIG, InlineExecutor()).cut(site / "archive")
    assert "cut: 2 patches lack labels of corine: run `pair` again" in capsys.readouterr().out
    assert verify(dataset) == []
    assert len(LABELS.read(dataset)) == 3
    pair(dataset, [request("corine", corine)], InlineExecutor())
    assert tree(dataset) == before


def test_readers_refuse_shards_of_labels_that_were_swapped(dataset):
    labels = open_labels(dataset, "corine")
    rows = labels.table["store_row"].tolist()
    assert len(labels.maps(rows)) == len(rows)
    names = sorted({label_shard("corine", row // 2) for row in rows})
    one, other = ((dataset / name).read_bytes() for name in names[:2])
    (dataset / names[0]).write_bytes(other)
    (dataset / names[1]).write_bytes(one)
    with pytest.raises(DamagedError, match=r"label_corine/c\..*does not contain the data that the table"):
        open_labels(dataset, "corine").maps(rows[:1])
