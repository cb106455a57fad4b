"""Datasets recoded to every codec, beside the same dataset built with it from the start."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from spectralearth_build.checking.verify import verify
from spectralearth_build.config import load
from spectralearth_build.errors import DamagedError, PlanChangedError, UsageError
from spectralearth_build.export import recode as module
from spectralearth_build.export.recode import recode
from spectralearth_build.store.codec import PRESETS
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES
from tests.support.files import tree

OTHERS = [codec for codec in PRESETS if codec != "spectral"]


@pytest.mark.slow
@pytest.mark.parametrize("codec", OTHERS)
def test_it_is_a_sound_dataset_with_the_same_pixels(finished_study, tmp_path, codec):
    before, target = tree(finished_study.dataset), tmp_path / "new"
    done = recode(finished_study.dataset, target, codec)
    assert verify(target, finished_study.archive) == []
    assert tree(finished_study.dataset) == before
    sizes = [
        sum(p.stat().st_size for p in d.glob("store.zarr/reflectance/c.*"))
        for d in (finished_study.dataset, target)
    ]
    assert [done.before, done.after] == sizes
    old, new = (xr.open_zarr(d / "store.zarr", chunks=None).load() for d in (finished_study.dataset, target))
    assert old.equals(new)
    assert new.attrs["codec"] == codec


@pytest.mark.slow
def test_shards_are_those_of_a_build_with_that_codec(planned_study, finished_study, tmp_path):
    study = planned_study.copy(tmp_path)
    plan = json.loads((study.dataset / "plan.json").read_text())
    plan["inputs"]["settings"]["store.codec"] = "fast"
    (study.dataset / "plan.json").write_text(json.dumps(plan))
    study.run(config=load(overrides={"store.shard_rows": 2, "store.codec": "fast"}))
    recode(finished_study.dataset, tmp_path / "new", "fast")
    built, recoded = tree(study.dataset), tree(tmp_path / "new")
    tables = (TILES, OVERLAPS, TUPLES, LOCATIONS, PATCHES)
    named = {"plan.json", "manifest.json", "store.zarr/zarr.json", "report.html"}  # bear the plan's id
    named |= {table.file for table in tables}
    for table in tables:
        assert table.read_arrow(tmp_path / "new").equals(table.read_arrow(study.dataset))
    same = [n for n in built if n not in named and not n.startswith("commits/")]
    assert any("reflectance/c." in name for name in same)
    assert {n: built[n] for n in same} == {n: recoded[n] for n in same}
    assert built.keys() - {"report.html"} == recoded.keys()


@pytest.mark.slow
def test_there_and_back_gives_the_same_shards(finished_study, tmp_path):
    recode(finished_study.dataset, tmp_path / "away", "dense")
    recode(tmp_path / "away", tmp_path / "back", "spectral")
    assert verify(tmp_path / "back") == []
    old, new = tree(finished_study.dataset), tree(tmp_path / "back")
    shards = [name for name in old if "reflectance/c." in name]
    assert shards
    assert all(old[name] == new[name] for name in shards)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_where_it_stopped(finished_study, tmp_path, monkeypatch):
    whole, target, seen = tmp_path / "whole", tmp_path / "new", []
    recode(finished_study.dataset, whole, "fast")
    real = module.recode_shard

    def stopping(dataset, into, commit, *rest):
        seen.append(commit.shard)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(dataset, into, commit, *rest)

    monkeypatch.setattr(module, "recode_shard", stopping)
    with pytest.raises(KeyboardInterrupt):
        recode(finished_study.dataset, target, "fast")
    assert not (target / "store.zarr/zarr.json").exists()
    with pytest.raises(UsageError, match="something else"):
        recode(finished_study.dataset, target, "dense")
    first = set(seen[:2])
    done = recode(finished_study.dataset, target, "fast")
    assert first.isdisjoint(seen[3:])
    assert done.shards == len(seen[3:])
    assert tree(target) == tree(whole)
    assert recode(finished_study.dataset, target, "fast").shards == 0


def test_a_damaged_patch_is_named_and_nothing_is_published(finished, tmp_path):
    shard = min((finished.dataset / "store.zarr/reflectance").glob("c.*"))
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DamagedError, match="crc32c") as caught:
        recode(finished.dataset, tmp_path / "new", "fast")
    assert caught.value.path == str(shard)
    assert not (tmp_path / "new/manifest.json").exists()


def test_a_changed_table_is_not_taken_over(finished, tmp_path):
    (finished.dataset / "tuples.parquet").write_bytes(b"else")
    with pytest.raises(DamagedError, match="manifest"):
        recode(finished.dataset, tmp_path / "new", "fast")


def test_a_codec_that_loses_something_is_caught(finished_study, tmp_path, monkeypatch):
    real = module.encode_patch
    monkeypatch.setattr(module, "encode_patch", lambda patch, codec: real(patch | np.int16(1), codec))
    with pytest.raises(DamagedError, match="differs after recoding"):
        recode(finished_study.dataset, tmp_path / "new", "fast")


def test_misuse_is_refused(finished_study, planned_study, tmp_path):
    with pytest.raises(UsageError, match="Unknown codec 'gzip'"):
        recode(finished_study.dataset, tmp_path / "new", "gzip")
    with pytest.raises(UsageError, match="in place"):
        recode(finished_study.dataset, finished_study.dataset, "fast")
    with pytest.raises(UsageError, match="not finished"):
        recode(planned_study.dataset, tmp_path / "new", "fast")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="something else"):
        recode(finished_study.dataset, tmp_path / "full", "fast")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


@pytest.mark.slow
def test_cutting_goes_on_only_with_the_new_codec(finished_study, tmp_path):
    recode(finished_study.dataset, tmp_path / "new", "fast")
    recoded = finished_study.__class__(
        finished_study.archive, tmp_path / "new", finished_study.tiles, finished_study.config
    )
    with pytest.raises(PlanChangedError, match="codec"):
        recoded.run()
