from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from scipy.ndimage import map_coordinates

from spectralearth_build import mask as masks
from spectralearth_build.archive import container
from spectralearth_build.archive import unpack_cache as unpack_cache
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.cutting import cut as cut_module
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.cutting.sources import Decoded
from spectralearth_build.cutting.task import Tasks
from spectralearth_build.errors import PlanChangedError, StoppedError, UsageError
from spectralearth_build.layout import ROOT, SCRATCH, shard_path
from spectralearth_build.overlap.resample import source_grid
from spectralearth_build.store.failed_tiles import failed_path
from spectralearth_build.store.planned import load_plan
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.files import tree
from tests.support.store_study import (
    A1,
    A2,
    A3,
    B1,
    ROWS,
    ZONE,
    Study,
    replace_file,
    replace_pixels,
    window_of,
)


def stored(study: Study, row: int) -> np.ndarray:
    return np.asarray(zarr.open_group(study.dataset / "store.zarr", mode="r")["reflectance"][row])


def native(study: Study, place: str, tile_id: str) -> tuple[np.ndarray, np.ndarray]:
    """A tile's pixels and validity laid out over a window, one pixel at a time: the slow truth."""
    tile, box = study.tiles[tile_id], window_of(place)
    values, valid = np.full((202, 128, 128), -32768, np.int16), np.zeros((128, 128), bool)
    for i in range(128):
        for j in range(128):
            line, col = box.line + i - tile.spec.box.line, box.col + j - tile.spec.box.col
            if 0 <= line < tile.spec.box.height and 0 <= col < tile.spec.box.width:
                values[:, i, j], valid[i, j] = tile.kept[:, line, col], tile.inside[line, col]
    return values, valid


def resampled(study: Study, place: str, tile_id: str, bands: slice) -> np.ndarray:
    """A tile interpolated by scipy, float64 [band, line, col]."""
    tile = study.tiles[tile_id]
    lines, cols = source_grid(window_of(place), ZONE, tile.spec.epsg)
    where = [lines - tile.spec.box.line - 0.5, cols - tile.spec.box.col - 0.5]
    return np.stack([map_coordinates(band.astype(float), where, order=1) for band in tile.kept[bands]])


@pytest.mark.parametrize("row", [0, 1, 6, 7, 8])
def test_plain_patches_are_their_source_pixels(finished_study, row):
    _, place, tile_id, _ = next(entry for entry in ROWS if entry[0] == row)
    expected, valid = native(finished_study, place, tile_id)
    assert valid.all()
    assert np.array_equal(stored(finished_study, row), expected)


def test_a_straddling_patch_takes_each_pixel_from_the_first_tile_that_has_it(finished_study):
    first, first_valid = native(finished_study, "straddling", A1)
    second, _ = native(finished_study, "straddling", A2)
    assert 0 < first_valid.sum() < 128 * 10  # some lines, with a hole in them
    assert np.array_equal(stored(finished_study, 2), np.where(first_valid, first, second))


def test_a_patch_across_the_zone_edge_is_interpolated(finished_study):
    bands = slice(0, 202, 67)
    expected = resampled(finished_study, "across", A3, bands)
    assert np.abs(stored(finished_study, 5)[bands] - expected).max() <= 0.5 + 1e-6


def test_a_mixed_patch_prefers_native_pixels(finished_study):
    bands = slice(0, 202, 67)
    own, own_valid = native(finished_study, "mixed", A1)
    expected = np.where(own_valid, own[bands], resampled(finished_study, "mixed", A3, bands))
    assert 0 < own_valid.sum() < own_valid.size / 2
    found = stored(finished_study, 4)
    assert np.abs(found[bands] - expected).max() <= 0.5 + 1e-6
    assert np.array_equal(found[:, own_valid], own[:, own_valid])


@pytest.mark.parametrize("row", [3, 9])
def test_padding_reads_as_nodata(finished_study, row):
    assert (stored(finished_study, row) == -32768).all()


def test_tables_after_publication(finished_study):
    patches = PATCHES.read(finished_study.dataset)
    assert set(patches["status"]) == {"written"}
    tiles = TILES.read(finished_study.dataset).set_index("tile_id")["status"]
    assert tiles.to_dict() == {
        A1: "used",
        A2: "used",
        A3: "used",
        B1: "used",
        "DT0000000009_001": "quarantined",
    }


def test_again_does_nothing(finished):
    def times():  # scratch and the note on what was published are in the work folder
        return {p: p.stat().st_mtime_ns for p in finished.dataset.rglob("*") if "work" not in p.parts}

    before = times()
    result = finished.run()
    assert (result.tiles_cut, result.published, result.written, result.skipped) == (0, False, 8, 0)
    assert times() == before


@pytest.mark.slow
def test_order_of_tasks_and_place_do_not_matter(finished_study, planned, tmp_path):
    class Backwards(InlineExecutor):
        def run(self, stage, function, tasks):
            return super().run(stage, function, {key: tasks[key] for key in reversed(list(tasks))})

    cut_module.cut(planned.archive, planned.dataset, planned.config, Backwards())
    assert tree(planned.dataset) == tree(finished_study.dataset)


class StopAfter(InlineExecutor):
    """Runs two tasks and stops as on a signal, before the second is seen."""

    def run(self, stage, function, tasks):
        for count, item in enumerate(super().run(stage, function, tasks)):
            if count == 1:
                raise StoppedError("Stopped.")
            yield item


@pytest.mark.slow
def test_stopped_and_resumed_gives_the_same_dataset(finished_study, planned):
    with pytest.raises(StoppedError):
        cut_module.cut(planned.archive, planned.dataset, planned.config, StopAfter())
    assert not (planned.dataset / ROOT).exists()
    result = planned.run()
    assert result.tiles_cut == 2
    assert tree(planned.dataset) == tree(finished_study.dataset)


@pytest.mark.slow
def test_crash_between_shard_and_commit(finished_study, planned, monkeypatch):
    def crash(self, dataset):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("spectralearth_build.store.commit.Commit.write", crash)
        with pytest.raises(KeyboardInterrupt):
            planned.run()
    assert shard_path(planned.dataset, 0).is_file()
    assert not (planned.dataset / "commits").exists()
    assert planned.run().tiles_cut == 4
    assert tree(planned.dataset) == tree(finished_study.dataset)


@pytest.mark.parametrize("harm", ["delete", "truncate"])
def test_a_lost_shard_is_cut_again(finished_study, finished, harm):
    path = shard_path(finished.dataset, 2)
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    result = finished.run()
    assert (result.tiles_cut, result.published) == (1, True)
    assert tree(finished.dataset) == tree(finished_study.dataset)


def test_nothing_can_be_opened_while_something_is_missing(finished, monkeypatch):
    shard_path(finished.dataset, 2).unlink()
    with pytest.raises(StoppedError):
        cut_module.cut(finished.archive, finished.dataset, finished.config, StopFirst())
    assert not (finished.dataset / ROOT).exists()


class StopFirst(InlineExecutor):
    def run(self, stage, function, tasks):
        raise StoppedError("Stopped.")
        yield


def test_leftovers_are_cleared(finished_study, finished):
    for name in ("store.zarr/reflectance/c.0.0.0.0.77.partial", "work/scratch/product-x/SPECTRAL_IMAGE"):
        (finished.dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (finished.dataset / name).write_bytes(b"left behind")
    finished.run()
    assert tree(finished.dataset) == tree(finished_study.dataset)
    assert not (finished.dataset / "work/scratch").exists()


@pytest.mark.slow
def test_a_bad_tile_costs_only_its_own_patches(finished_study, planned_study, tmp_path):
    study = planned_study.copy(tmp_path, archive=True)
    replace_file(study.image(B1), study.image(B1).read_bytes()[:5000])
    result = study.run()
    assert (result.written, result.skipped, result.failed) == (5, 3, (B1,))
    tile = TILES.read(study.dataset).set_index("tile_id").loc[B1]
    assert (tile["status"], tile["error_class"]) == ("quarantined", "BrokenRasterError")
    assert study.tiles[B1].spec.product_id in tile["reason"]
    assert str(tmp_path) not in tile["reason"]
    patches = PATCHES.read(study.dataset).set_index("store_row")
    assert patches["status"][[6, 7, 8]].tolist() == ["skipped"] * 3
    assert patches["reason"][6] == f"{B1} failed: BrokenRasterError"
    assert LOCATIONS.read(study.dataset)["n"].sum() == 5
    sound, clean = tree(study.dataset), tree(finished_study.dataset)
    shards = [f"store.zarr/reflectance/c.{k}.0.0.0" for k in range(3)]
    assert [sound[name] for name in shards] == [clean[name] for name in shards]
    assert not shard_path(study.dataset, 3).exists()
    assert (stored(study, 6) == -32768).all()


@pytest.mark.slow
def test_a_failed_tile_is_tried_again_only_when_its_files_change(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)
    study.forget(3, 4)
    sound = study.image(B1).read_bytes()
    replace_file(study.image(B1), b"")
    assert study.run().failed == (B1,)
    before = tree(study.dataset)
    again = study.run()
    assert (again.tiles_cut, again.published, again.failed) == (0, False, (B1,))
    note = failed_path(study.dataset, B1)
    content = json.loads(note.read_bytes())
    del content["judged"]  # as earlier versions wrote it, whose verdicts may have been wrong
    note.write_text(json.dumps(content))
    assert (study.run().tiles_cut, tree(study.dataset)) == (1, before)
    assert study.run().tiles_cut == 0
    note.unlink()  # asks for another try
    assert (study.run().tiles_cut, tree(study.dataset)) == (1, before)
    study.image(B1).write_bytes(sound)
    assert study.run().failed == ()
    assert tree(study.dataset) == tree(finished_study.dataset)


def test_a_bad_neighbour_costs_only_the_shared_patches(planned_study, tmp_path):
    study = planned_study.copy(tmp_path, archive=True)
    shutil.rmtree(study.archive / study.tiles[A1].spec.product_id)
    result = study.run()
    assert (result.written, result.skipped, result.failed) == (4, 4, (A1,))
    reasons = PATCHES.read(study.dataset).set_index("store_row")["reason"]
    assert reasons[2].startswith(f"{A1} cannot be read: ")
    assert reasons[4].startswith(f"{A1} cannot be read: ")
    assert reasons[5] == ""
    tiles = TILES.read(study.dataset).set_index("tile_id")
    assert tiles.loc[A2, ["status", "reason"]].tolist() == ["unused", "every patch planned on it was skipped"]


def test_pixels_that_changed_since_the_scan_are_skipped(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)
    study.forget(0)

    def hide(cube):
        cube[study.tiles[A1].band_index[7], 20, 20] = -32768

    replace_pixels(study.image(A1), hide)
    study.run()
    reasons = PATCHES.read(study.dataset).set_index("store_row")["reason"]
    assert reasons[0] == "pixels that scan found valid have no data in some bands"
    assert reasons[[1, 2, 4]].tolist() == ["", "", ""]


def test_a_mask_that_changed_since_the_plan_is_noticed(finished):
    path = finished.dataset / finished.tiles[A1].row["mask"]
    mask = masks.load(path)
    mask[20, 20] = 0
    masks.save(path, mask)
    finished.forget(0)
    finished.run()
    reasons = PATCHES.read(finished.dataset).set_index("store_row")["reason"]
    assert reasons[0] == "1 pixel has no data any more"


@pytest.mark.parametrize("content", [None, b"", b"no mask"])
def test_a_bad_mask_fails_the_tile(finished, content):
    path = finished.dataset / finished.tiles[A1].row["mask"]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    finished.forget(0)
    assert finished.run().failed == (A1,)
    assert TILES.read(finished.dataset).set_index("tile_id").loc[A1, "error_class"] == "MissingFileError"


def test_a_raster_of_another_size_fails_the_tile(finished):
    tiles = TILES.read(finished.dataset)
    tiles.loc[tiles["tile_id"] == A1, "width"] = 310
    TILES.write(tiles, finished.dataset)
    finished.forget(0)
    finished.run()
    assert TILES.read(finished.dataset).set_index("tile_id").loc[A1, "error_class"] == "ContentChangedError"


def test_changed_settings_are_refused(planned):
    config = load(overrides={"store.shard_rows": 2, "store.codec": "fast", "quality.max_cloud": 0.5})
    with pytest.raises(PlanChangedError) as caught:
        planned.run(config=config)
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["  quality.max_cloud: was 0.05, is 0.5", '  store.codec: was "spectral", is "fast"']
    assert not (planned.dataset / "commits").exists()


def test_settings_of_the_run_do_not_matter(finished):
    config = load(overrides={"store.shard_rows": 2, "run.workers": 7, "run.scheduler": "inline"})
    assert not finished.run(config=config).published


def test_commits_of_another_plan_are_refused(finished):
    plan = json.loads((finished.dataset / "plan.json").read_text())
    (finished.dataset / "plan.json").write_text(
        json.dumps({**plan, "generations": [{"id": "another", "first_shard": 0}]})
    )
    with pytest.raises(PlanChangedError, match="another plan"):
        finished.run()


def test_no_plan(tmp_path, planned):
    with pytest.raises(UsageError, match=r"no readable plan\.json"):
        replace(planned, dataset=tmp_path / "empty").run()


def strips(study: Study, tile_id: str, lines: range) -> int:
    """Bytes of the kept bands in the strips that hold some lines, counted strip by strip."""
    with open_raster(study.image(tile_id)) as dataset:
        height = dataset.block_shapes[0][0]
        hit = {line // height for line in lines}
        return sum(2 * 202 * dataset.width * min(height, dataset.height - k * height) for k in hit)


def test_only_what_is_needed_of_a_neighbour_is_decoded(planned):
    tasks = Tasks(planned.archive, planned.dataset, load_plan(planned.dataset), {A2: [1]})
    done = cut_tile(*tasks[A2])
    assert done.patches == 1
    own, others = strips(planned, A2, range(8, 136)), strips(planned, A1, range(138, 150))
    assert done.decoded == Decoded(own=own, neighbours=others, tiles=2 * 224 * 150 * 290)


@pytest.mark.slow
def test_a_run_says_what_it_decoded(planned):
    decoded = planned.run().decoded
    assert decoded.tiles == sum(2 * tile.cube.size for tile in planned.tiles.values())
    assert 0 < decoded.neighbours < decoded.own <= decoded.tiles


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_matter(finished_study, planned, threads):
    planned.run(config=load(overrides={"store.shard_rows": 2, "run.threads": threads}))
    assert tree(planned.dataset) == tree(finished_study.dataset)


@pytest.mark.slow
def test_a_broken_tile_fails_alike_on_any_number_of_threads(planned_study, tmp_path):
    found = []
    for threads in (1, 4):
        study = planned_study.copy(tmp_path / str(threads), archive=True)
        data = bytearray(study.image(B1).read_bytes())
        replace_file(study.image(B1), bytes(data[: len(data) // 2]))
        study.run(config=load(overrides={"store.shard_rows": 2, "run.threads": threads}))
        found.append(tree(study.dataset))
    assert found[0] == found[1]


def packed(planned_study: Study, folder: Path, outer: bool) -> Study:
    """The study with its products in zips, or in one order of zips."""
    study = planned_study.copy(folder, archive=True)
    zips = [pack(study.archive / tile.spec.product_id) for tile in study.tiles.values()]
    names = {tile.spec.product_id: f"{tile.spec.product_id}.zip" for tile in study.tiles.values()}
    if outer:
        pack_order(zips, study.archive / "order.tar.gz")
        names = {product: f"order.tar.gz!{name}" for product, name in names.items()}
    tiles = TILES.read(study.dataset)
    tiles["path"] = tiles["path"].map(lambda path: names.get(path, path))
    TILES.write(tiles, study.dataset)
    return study


@pytest.mark.slow
@pytest.mark.parametrize("outer", [False, True])
def test_an_archive_is_unpacked_once(finished_study, planned_study, tmp_path, monkeypatch, outer):
    study = packed(planned_study, tmp_path, outer)
    opened, written = Counter(), Counter()
    opens, copies = container._opened_tar, container._copy

    def count_open(path):
        opened[path.name] += 1
        return opens(path)

    def count_copy(source, target, limit):
        written[source.name or target.name[:32]] += 1  # members of a tar have no name here
        return copies(source, target, limit)

    monkeypatch.setattr(container, "HARMLESS", 2**30)  # these pixels shrink as no real ones do
    monkeypatch.setattr(unpack_cache, "FREE", 0.0)  # however full the disk is
    monkeypatch.setattr(container, "_opened_tar", count_open)
    monkeypatch.setattr(container, "_copy", count_copy)
    study.run()
    assert opened == ({"order.tar.gz": 1} if outer else {})
    assert len(written) == (8 if outer else 4)
    assert set(written.values()) == {1}
    store = "store.zarr/reflectance/c."
    sound, clean = tree(study.dataset), tree(finished_study.dataset)
    assert {k: v for k, v in sound.items() if store in k} == {k: v for k, v in clean.items() if store in k}
    assert not (study.dataset / SCRATCH).exists()
