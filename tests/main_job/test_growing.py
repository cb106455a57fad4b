"""A dataset that grows with its archive, end to end: pixels, tables and every byte that must stay."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from spectralearth_build import config as settings
from spectralearth_build.archive.scan import scan
from spectralearth_build.archive.versions import waiting
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting import cut_tile as task_module
from spectralearth_build.cutting.cut import cut
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import PlanChangedError, UsageError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.pipeline import Run
from spectralearth_build.plan.planner import plan
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, ProductSpec

LINE, COL = -183_000, 15_600


def product(archive, datatake, line, height=130, width=260, number=1, version="V010402", value=None):
    """A tile of one number in all pixels: 1000 datatake + 100 tile, unless given."""
    base = ProductSpec(box=Box(LINE + line, COL, height, width), tile=number, version=version)
    spec = replace(
        base,
        datatake=f"DT{datatake:010d}",
        started=base.started + timedelta(days=datatake, seconds=4 * number),
    )
    number = 1000 * datatake + 100 * number if value is None else value
    write_product(
        archive, spec, np.full((224, height, width), number, np.int16), Layers.clear((height, width))
    )
    return spec


def shards(folder):
    files = [*(folder / "commits").iterdir(), *(folder / "store.zarr/reflectance").glob("c.*")]
    return {path.relative_to(folder): sha256(path.read_bytes()).hexdigest() for path in files}


def state(folder):
    kept = [p for p in folder.rglob("*") if p.is_file() and "work" not in p.relative_to(folder).parts]
    return {p.relative_to(folder): (p.stat().st_mtime_ns, sha256(p.read_bytes()).hexdigest()) for p in kept}


def pixels(dataset):
    """The one value of each patch that a query finds, by location and datatake."""
    found = {}
    for row in dataset.query().itertuples():
        values = np.unique(dataset.patch(row.location_id, row.datatake).to_numpy())
        found[row.location_id, row.datatake] = values.tolist()
    return found


def mean(dataset):
    return json.loads((dataset.path / "statistics.json").read_text())["mean"][0]


def truth(dataset):
    """The mean of the first band over all patches that a query finds."""
    every = [
        dataset.patch(row.location_id, row.datatake)[0].to_numpy() for row in dataset.query().itertuples()
    ]
    return np.mean(every)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "archive", tmp_path / "dataset"


SETTINGS = {"store.shard_rows": 2}


def test_new_tiles_join_what_is_there(build, place):
    archive, folder = place
    product(archive, 1, 0)
    first = build(archive, folder, **SETTINGS)
    before, values = shards(folder), pixels(first)
    rows = first.patches["store_row"].tolist()
    assert first.locations["n"].tolist() == [1, 1]
    product(archive, 2, 0)  # sees both windows, and with the next tile two more below them
    product(archive, 2, 110, height=150, number=2)
    second = build(archive, folder, **SETTINGS)
    after = shards(folder)
    assert {name: after[name] for name in before} == before
    assert second.locations["location_id"].head(2).tolist() == first.locations["location_id"].tolist()
    assert second.patches["store_row"].head(2).tolist() == rows
    assert second.patches["generation"].tolist() == [0, 0] + [1] * (len(second.patches) - 2)
    found = pixels(second)
    assert {key: found[key] for key in values} == values
    assert {date for _, date in found} == {"DT0000000001", "DT0000000002"}
    assert second.locations["n"].tolist() == [2, 2, 1, 1]
    assert mean(second) == pytest.approx(truth(second))
    rows = second.store["reflectance"].shape[0]
    assert rows == second.store["epsg"].shape[0] == 2 * len(list(folder.glob("commits/*")))
    plans = {commit["plan"] for commit in map(json.loads, (p.read_text() for p in folder.glob("commits/*")))}
    assert plans == {g["id"] for g in json.loads((folder / "plan.json").read_text())["generations"]}
    same = state(folder)
    build(archive, folder, **SETTINGS)
    assert state(folder) == same


def test_what_was_opened_before_stays_what_it_was(build, place):
    archive, folder = place
    product(archive, 1, 0)
    used, framed, unread = (build(archive, folder, **SETTINGS), open_dataset(folder), open_dataset(folder))
    old, values = used.query(), pixels(used)
    assert len(framed.patches) == len(framed.query()) == 2
    unread.query()
    product(archive, 2, 0, height=260)
    new = build(archive, folder, **SETTINGS)
    south = (-180, -80, 180, new.locations.geometry.bounds["miny"].mean())
    assert len(new.query()) > 2
    assert len(new.query(bbox=south)) > len(used.query(bbox=south))
    for dataset in (used, framed, unread):
        pd.testing.assert_frame_equal(dataset.query(), old)
        pd.testing.assert_frame_equal(dataset.query(bbox=(-180, -80, 180, 84)), old)
        assert set(dataset.query(bbox=south)["patch_id"]) <= set(old["patch_id"])
    assert pixels(used) == values
    with pytest.raises(UsageError, match=r"has grown since it was opened.*Open it again"):
        pixels(unread)
    assert pixels(open_dataset(folder)).keys() > values.keys()


def test_a_stop_between_plan_and_the_end_of_cut(build, place, monkeypatch):
    """Until all is cut the old dataset opens as it was; then a resume ends as if nothing had happened."""
    archive, folder = place
    product(archive, 1, 0)
    values = pixels(build(archive, folder, **SETTINGS))
    product(archive, 2, 0)
    product(archive, 3, 0)
    twin = folder.with_name("twin")
    shutil.copytree(folder, twin)
    build(archive, twin, **SETTINGS)
    config, executor = settings.load(None, SETTINGS), InlineExecutor()
    scan(archive, folder, config, executor)
    plan(folder, config, executor)
    assert verify(folder) == []
    planned = open_dataset(folder)
    assert pixels(planned) == values
    assert len(planned.query(bbox=(-180, -80, 180, 84))) == len(values)
    real, calls = task_module.shard_writer, []

    def crashing(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(task_module, "shard_writer", crashing)
        with pytest.raises(KeyboardInterrupt):
            cut(archive, folder, config, executor)
    assert verify(folder) == []
    assert pixels(open_dataset(folder)) == values
    build(archive, folder, **SETTINGS)
    assert {k: v[1] for k, v in state(folder).items()} == {k: v[1] for k, v in state(twin).items()}


def test_versions(build, place, capsys):
    """A newer version is reported and left; on request it takes the place of the older, whose rows are retired."""
    archive, folder = place
    old = product(archive, 1, 0, height=170)
    product(
        archive, 1, 160, height=224, number=2
    )  # has windows of its own and others that it shares with the first
    product(archive, 2, 0, height=384)
    first = build(archive, folder, **SETTINGS)
    before, values = shards(folder), pixels(first)
    new = product(archive, 1, 0, height=170, version="V010502", value=77)

    left = build(archive, folder, **SETTINGS)
    assert pixels(left) == values
    assert shards(folder) == before
    rows = left.tiles.set_index("product_id")
    assert rows.loc[old.product_id, ["status", "eligible"]].tolist() == ["used", True]
    assert rows.loc[new.product_id, ["status", "eligible"]].tolist() == ["unused", False]
    assert "plan.replace_versions" in rows.loc[new.product_id, "reason"]
    assert waiting(left.tiles) == [new.product_id]
    capsys.readouterr()
    Run(folder, settings.load(None, SETTINGS), InlineExecutor()).scan(archive)
    assert f"newer versions of tiles that the dataset has: {new.product_id}" in capsys.readouterr().out

    asked = settings.load(None, SETTINGS | {"plan.replace_versions": True})
    scan(archive, folder, asked, InlineExecutor())
    with pytest.raises(PlanChangedError, match=f"differ from those of the plan: {old.tile_id}"):
        cut(archive, folder, asked, InlineExecutor())  # without planning first
    changed = build(archive, folder, **SETTINGS, **{"plan.replace_versions": True})
    after, found = shards(folder), pixels(changed)
    assert {name: after[name] for name in before} == before
    assert found.keys() == values.keys()
    assert {key for key in found if found[key] != values[key]} == {
        key for key in values if 1100 in values[key]
    }
    assert {v for values in found.values() for v in values} == {77, 1200, 2100}
    rows = changed.tiles.set_index("product_id")
    assert rows.loc[old.product_id, "status"] == "superseded"
    assert rows.loc[new.product_id, ["status", "eligible"]].tolist() == ["used", True]
    retired = changed.patches[changed.patches["status"] == "retired"]
    assert (retired["generation"] == 0).all()
    assert set(retired["shard"]) & set(changed.query()["shard"])  # of some shards only a part is retired
    assert len(retired) == sum(1100 in v for v in values.values())
    assert changed.locations["n"].tolist() == first.locations["n"].tolist()
    assert mean(changed) == pytest.approx(truth(changed))
    assert (changed.store["location"][:][retired["store_row"].to_numpy()] == "").all()

    shutil.rmtree(archive / old.product_id)
    same = pixels(build(archive, folder, **SETTINGS))
    assert same == found


def test_a_tile_that_vanished_is_refused(build, place):
    archive, folder = place
    spec = product(archive, 1, 0)
    product(archive, 2, 0)
    build(archive, folder, **SETTINGS)
    shutil.rmtree(archive / spec.product_id)
    product(archive, 3, 0)
    with pytest.raises(PlanChangedError, match="tiles gone: DT0000000001_001"):
        build(archive, folder, **SETTINGS)
    product(archive, 1, 0)
    assert build(archive, folder, **SETTINGS).locations["n"].max() == 3


def test_scan_makes_lost_masks_again(build, place):
    archive, folder = place
    product(archive, 1, 0)
    build(archive, folder, **SETTINGS)
    shutil.rmtree(folder / "work")
    product(archive, 2, 0)
    assert build(archive, folder, **SETTINGS).locations["n"].tolist() == [2, 2]


def test_a_tile_that_failed_fails_alone_and_is_tried_again_when_it_is_mended(place):
    archive, folder = place
    config, executor = settings.load(None, SETTINGS | {"scan.validity": "classes"}), InlineExecutor()

    def run():
        scan(archive, folder, config, executor)
        plan(folder, config, executor)
        result = cut(archive, folder, config, executor)
        assert verify(folder) == []
        return result

    product(archive, 2, 0)
    spec = product(archive, 1, 0)
    image = next((archive / spec.product_id).glob("*SPECTRAL_IMAGE.TIF"))
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    assert run().failed == ("DT0000000001_001",)
    product(archive, 3, 0)
    grown = run()
    assert grown.tiles_cut == 1  # the failed one is not tried again
    assert grown.failed == ("DT0000000001_001",)
    assert open_dataset(folder).locations["n"].tolist() == [2, 2]
    image.write_bytes(whole)
    assert run().failed == ()
    assert open_dataset(folder).locations["n"].tolist() == [3, 3]
