"""Pixels that cut checks, because scan.validity = at-cut: the same dataset, and what is found late counts as found."""

import json
import shutil

import numpy as np
import pytest
import rasterio

from spectralearth_build import config as settings
from spectralearth_build import mask
from spectralearth_build.archive import inspect
from spectralearth_build.checking.repair import repair
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting import cut as cut_module
from spectralearth_build.cutting.compose import LOST
from spectralearth_build.errors import MediumError
from spectralearth_build.layout import exact_files, shard_files
from spectralearth_build.pipeline import Run
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES
from tests.support.files import tree
from tests.support.late_hole import AT_CUT, spoil_band, strip, strips_with_hole
from tests.support.small_archive import CHOSEN, archive_of, run_stages, write_tile

NOT_KNOWN_TO_SCAN = {"fingerprint", "content", "hole_fraction"}
"""Columns of the tile table that may differ: they say what scan has read."""


class Backwards(InlineExecutor):
    """Runs the tasks of a stage in the opposite order."""

    def run(self, stage, function, tasks):
        return super().run(stage, function, {key: tasks[key] for key in reversed(list(tasks))})


ALL_BANDS = settings.load(None, CHOSEN | {"scan.validity": "all-bands"})


def built(archive, dataset, config=AT_CUT, executor=None):
    return run_stages(archive, dataset, executor, config)


def outcome(dataset):
    """Status and reason of each patch by its anchor's line, and of each tile by its product's version."""
    patches, tiles = PATCHES.read(dataset), TILES.read(dataset)
    return dict(
        zip(patches["patch_id"], zip(patches["status"], patches["reason"], strict=True), strict=True)
    ), tiles


def test_a_sound_archive_gives_the_same_dataset(tmp_path):
    archive = archive_of(tmp_path / "archive", 1, 2, 3)
    early, late = (
        built(archive, tmp_path / "early", ALL_BANDS),
        built(archive, tmp_path / "late"),
    )
    pixels = [[path.read_bytes() for path in shard_files(dataset)] for dataset in (early, late)]
    assert pixels[0] == pixels[1]
    assert len(pixels[0]) > 1
    for table in (PATCHES, LOCATIONS, OVERLAPS, TUPLES, TILES):
        one, other = (table.read(dataset) for dataset in (early, late))
        assert {
            name for name in one if one[name].astype(str).tolist() != other[name].astype(str).tolist()
        } <= (NOT_KNOWN_TO_SCAN if table is TILES else set())
    assert all("at-cut" in json.loads(content) for content in TILES.read(late)["content"])
    assert not any("at-cut" in json.loads(content) for content in TILES.read(early)["content"])
    assert exact_files(late) == []
    before = tree(late)
    Run(late, AT_CUT, InlineExecutor()).scan(archive)
    Run(late, AT_CUT, InlineExecutor()).cut_as_scanned(archive)
    assert tree(late) == before


@pytest.mark.slow
def test_a_dataset_whose_fingerprints_lack_samples_of_images_grows(tmp_path, monkeypatch):
    archive = archive_of(tmp_path / "archive", 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(inspect, "SAMPLED", 0)  # so wrote them the first version with `at-cut`
        dataset = built(archive, tmp_path / "d")
    before = tree(dataset)
    shutil.rmtree(dataset / "work")
    built(archive, dataset)
    assert tree(dataset)["plan.json"] == before["plan.json"]
    write_tile(archive, 7)  # where the second is
    built(archive, dataset)
    shards = {name for name in before if "/reflectance/c." in name}
    assert {name: tree(dataset)[name] for name in shards} == {name: before[name] for name in shards}
    assert len(list(shard_files(dataset))) > len(shards)
    assert verify(dataset, archive) == []
    assert (PATCHES.read(dataset)["status"] == "written").all()


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    """Tiles of 200 and 250 lines with ten in common, and three windows; the second tile has a hole under the second."""
    return strips_with_hole(tmp_path_factory.mktemp("strips"))


@pytest.fixture(scope="module")
def with_hole(strips, tmp_path_factory):
    return built(strips, tmp_path_factory.mktemp("with-hole") / "d")


def test_a_window_over_a_hole_of_a_neighbour_is_left_out(with_hole):
    patches, tiles = outcome(with_hole)
    assert sorted(patches.values()) == [("skipped", LOST), ("written", ""), ("written", "")]
    assert set(tiles["status"]) == {"used"}
    (path,) = exact_files(with_hole)
    exact, planned = mask.load(path), mask.load(with_hole / tiles["mask"][1])
    lost = np.argwhere(exact != planned)[:, 0]
    assert lost.min() == 0
    assert 20 <= lost.max() < 41  # the strip of the hole, and a pixel after it
    skipped = PATCHES.read(with_hole).query("status == 'skipped'")
    assert skipped["tile_id"].tolist() == ["DT0000000077_001"]
    assert (planned & mask.VALID).all()


@pytest.mark.slow
def test_the_order_of_the_tasks_changes_nothing(strips, with_hole, tmp_path):
    assert tree(built(strips, tmp_path / "d", executor=Backwards())) == tree(with_hole)


@pytest.mark.slow
def test_a_stop_before_the_second_look_changes_nothing(strips, with_hole, tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(cut_module, "_overruled", stop)
        with pytest.raises(Stop):
            built(strips, tmp_path / "d")
    assert exact_files(tmp_path / "d")
    assert tree(built(strips, tmp_path / "d")) == tree(with_hole)


def test_nothing_to_do_after_a_hole_was_found(strips, with_hole):
    before = tree(with_hole)
    result = cut_module.cut(strips, with_hole, AT_CUT, InlineExecutor())
    assert (result.tiles_cut, result.published) == (0, False)
    assert tree(with_hole) == before


@pytest.mark.slow
@pytest.mark.parametrize("work", ["kept", "deleted"])
def test_verify_and_repair_know_what_cut_found(strips, with_hole, tmp_path, work):
    dataset = shutil.copytree(with_hole, tmp_path / "d")
    assert verify(dataset, strips) == []
    before = tree(dataset)
    if work == "deleted":
        shutil.rmtree(dataset / "work")
    for shard in shard_files(dataset):
        shard.unlink()
    assert repair(strips, dataset, settings.load(None, CHOSEN), InlineExecutor(), lambda _: None).left == []
    assert tree(dataset) == before
    built(strips, dataset)  # which makes masks again
    assert tree(dataset) == before
    assert verify(dataset, strips) == []


@pytest.mark.slow
def test_a_patch_planned_later_gets_no_pixel_of_a_hole_that_was_found_before(tmp_path):
    """Also if what was found was deleted. The first tile is cut alone; the second joins it, with a window in both."""
    archive, later = tmp_path / "archive", tmp_path / "later"
    spoil_band(strip(archive, 1, 0, 180), 101, slice(160, 180))
    strip(later, 2, 170, 214)
    from_the_north = settings.load(None, CHOSEN | {"plan.strategy": "greedy"})
    dataset = built(archive, tmp_path / "d", from_the_north)
    assert len(exact_files(dataset)) == 1
    forgetful = shutil.copytree(dataset, tmp_path / "e")
    shutil.rmtree(forgetful / "work")
    shutil.copytree(later, archive, dirs_exist_ok=True)
    for each in (dataset, forgetful):
        built(archive, each, from_the_north)
        patches = PATCHES.read(each)
        new = patches[patches["generation"] == 1]
        straddling = new[new["sources"].map(len) == 2]
        assert straddling["reason"].tolist() == [LOST]
        assert verify(each, archive) == []
    assert tree(dataset) == tree(forgetful)


@pytest.mark.slow
def test_a_damaged_neighbour_gives_no_pixels(strips, tmp_path):
    archive = shutil.copytree(strips, tmp_path / "archive")
    image = next(archive.glob("*_002_*/*SPECTRAL_IMAGE.TIF"))
    spoil_band(image, 50, slice(0, 175))
    datasets = [built(archive, tmp_path / name, executor=e) for name, e in (("d", None), ("e", Backwards()))]
    assert tree(datasets[0]) == tree(datasets[1])
    patches, tiles = outcome(datasets[0])
    assert sorted(patches.values()) == [
        ("skipped", "DT0000000077_002 cannot be read: HoleError"),
        ("skipped", "DT0000000077_002 failed: HoleError"),
        ("written", ""),
    ]
    assert tiles["error_class"].tolist() == ["", "HoleError"]
    before = tree(datasets[0])
    built(archive, datasets[0])
    assert tree(datasets[0]) == before
    assert verify(datasets[0], archive) == []
    shutil.rmtree(datasets[0] / "work")
    built(archive, datasets[0])
    assert tree(datasets[0]) == before


def test_a_tile_without_windows_of_its_own_is_judged_where_it_is_used(tmp_path):
    archive = tmp_path / "archive"
    strip(archive, 1, 0, 100)
    image = strip(archive, 2, 90, 60)
    spoil_band(image, 101, slice(20, 22))
    config = AT_CUT
    with pytest.raises(Exception, match="could be cut") as caught:
        built(archive, tmp_path / "d", config)
    assert LOST in str(caught.value)


@pytest.fixture
def two_versions(tmp_path):
    """A tile in two versions, of which the newer cannot be decoded, and a sound tile of another datatake."""
    archive = tmp_path / "archive"
    write_tile(archive, 2)
    write_tile(archive, 3, version="V010402", compress="deflate")
    image = next(write_tile(archive, 3, version="V010501", compress="deflate").glob("*SPECTRAL_IMAGE.TIF"))
    with rasterio.open(image) as raster:
        start = int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=101))
    data = bytearray(image.read_bytes())
    data[start : start + 16] = bytes(16)
    image.write_bytes(data)
    return archive


def test_an_older_version_takes_the_place_of_a_damaged_one_in_the_same_build(two_versions, tmp_path):
    dataset = tmp_path / "d"
    run = Run(dataset, AT_CUT, InlineExecutor())
    run.scan(two_versions)
    assert set(TILES.read(dataset)["status"]) == {"unused", "superseded"}  # scan has not noticed
    run.plan()
    run.cut_as_scanned(two_versions)
    tiles = TILES.read(dataset).set_index(["tile_id", "version"])[["status", "error_class"]].T.to_dict("list")
    assert tiles["DT0000000003_001", "V010501"] == ["quarantined", "BrokenRasterError"]
    assert tiles["DT0000000003_001", "V010402"] == ["used", ""]
    written = PATCHES.read(dataset).query("status == 'written'")
    assert set(written["datatake"]) == {"DT0000000002", "DT0000000003"}
    before = tree(dataset / "store.zarr"), PATCHES.read(dataset)
    run.scan(two_versions)
    run.plan()
    run.cut_as_scanned(two_versions)
    assert tree(dataset / "store.zarr") == before[0]
    assert PATCHES.read(dataset).equals(before[1])


def test_what_may_be_the_machines_fault_does_not_count_against_a_product(two_versions, tmp_path, monkeypatch):
    def fails(*_):
        raise MediumError("The file cannot be read.", "x")

    seen = []
    monkeypatch.setattr("spectralearth_build.cutting.judge.Judge.read", fails)
    monkeypatch.setattr(cut_module, "overrule", lambda *given: seen.append(given))
    run = Run(tmp_path / "d", AT_CUT, InlineExecutor())
    run.scan(two_versions)
    run.plan()
    with pytest.raises(Exception, match="could be cut"):
        run.cut(two_versions)
    assert seen == []
