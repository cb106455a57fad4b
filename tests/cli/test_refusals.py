"""A refused build leaves a published dataset as it was, and nothing found is refused before anything is published."""

import json
import shutil
from functools import partial

import dask
import pytest

from spectralearth_build import open_dataset
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import existing
from spectralearth_build.cutting import space
from tests.support.files import tree
from tests.support.small_archive import write_noise_tile

INLINE = ("--scheduler", "inline")
FAR = {
    "type": "Feature",
    "properties": {},
    "geometry": {"type": "Polygon", "coordinates": [[[100, 0], [101, 0], [101, 1], [100, 0]]]},
}


@pytest.fixture(scope="module")
def published(built, tmp_path_factory):
    """A finished dataset, which no test may change, and the hashes of its files."""
    dataset = shutil.copytree(built, tmp_path_factory.mktemp("published") / "d")
    return dataset, tree(dataset)


@pytest.fixture(scope="module")
def grown(archive, tmp_path_factory):
    """The archive, and a tile more."""
    folder = shutil.copytree(archive, tmp_path_factory.mktemp("grown") / "a")
    write_noise_tile(folder, 3, (6, 2))
    return folder


def unchanged(published):
    dataset, before = published
    assert tree(dataset) == before
    assert verify(dataset) == []
    assert len(open_dataset(dataset).patches) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "options", "code", "words"),
    [
        ("empty", [], 69, "empty"),
        ("typo", [], 2, "Invalid value for 'ARCHIVE'"),
        ("texts", [], 2, "tiles gone: DT0000000001_001, DT0000000002_001"),
        ("new", [], 2, "of which 2 are missing"),
        ("whole", ["--set", "plan.region=absent.gpkg"], 2, "plan.region cannot be read"),
        ("whole", ["--set", "plan.min_dates=2"], 2, "plan.min_dates: was 1, is 2"),
        ("whole", ["--set", "store.codec=dense"], 2, "store.codec"),
        ("whole", ["--manifest", "absent.csv"], 2, "tile list cannot be read"),
        ("whole", ["--manifest", "{other}"], 2, "has none of the"),
        ("whole", ["--retry-quarantined", "--set", "quality.max_cloud=0.9"], 2, "max_cloud"),
    ],
)
def test_a_refused_build_changes_nothing(call, archive, published, tmp_path, given, options, code, words):
    place = tmp_path / "a"
    if given != "typo":
        place.mkdir()
    if given == "texts":
        (place / "readme.txt").write_text("nothing here")
    if given == "new":
        write_noise_tile(place, 3)
    if given == "whole":
        place = archive
    (tmp_path / "other.csv").write_text("tile_id\nDT0000000077_001\n")
    given_options = [text.format(other=tmp_path / "other.csv") for text in options]
    done = call("build", place, published[0], *INLINE, *given_options)
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (code, True), done.output
    unchanged(published)


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_changes_nothing(call, grown, published, monkeypatch):
    monkeypatch.setattr(existing, "existing_cluster", partial(existing.existing_cluster, patience=3))
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        done = call("build", grown, published[0], "--scheduler", "tcp://127.0.0.1:9")
    assert done.exit_code == 2
    assert "No Dask scheduler answers" in done.stderr
    unchanged(published)


@pytest.mark.slow
def test_no_room_changes_nothing_and_the_stages_before_cut_neither(call, grown, published, monkeypatch):
    dataset = published[0]
    assert call("scan", grown, dataset, *INLINE).exit_code == 0
    unchanged(published)
    done = call("plan", dataset, *INLINE)
    assert "grown by" in done.output
    unchanged(published)
    with monkeypatch.context() as patch:
        patch.setattr(space.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**20, 2**20, 0))
        assert call("cut", grown, dataset, *INLINE).exit_code == 28
        assert call("build", grown, dataset, *INLINE).exit_code == 28
    unchanged(published)
    assert call("pair", dataset, "--label", "x=absent.tif", *INLINE).exit_code == 2
    unchanged(published)


@pytest.mark.slow
def test_what_waits_is_taken_back_when_the_new_tile_goes_and_published_when_it_stays(
    call, archive, grown, published, tmp_path
):
    dataset = shutil.copytree(published[0], tmp_path / "d")
    for verb in (["scan", grown, dataset], ["plan", dataset]):
        assert call(*verb, *INLINE).exit_code == 0
    done = call("build", archive, dataset, *INLINE)
    assert done.exit_code == 0, done.output
    assert tree(dataset, ("work", "report.html")) == {
        k: v for k, v in published[1].items() if k != "report.html"
    }
    done = call("build", grown, dataset, *INLINE)
    assert "grown by 1 patch" in done.output
    assert verify(dataset, grown) == []
    straight = shutil.copytree(published[0], tmp_path / "straight")
    for verb in (["scan", grown, straight], ["plan", straight], ["cut", grown, straight]):
        assert call(*verb, *INLINE).exit_code == 0
    assert tree(straight, ("work", "report.html")) == tree(dataset, ("work", "report.html"))
    assert not (straight / "work" / "next").exists()


@pytest.mark.slow
def test_nothing_found_is_2_with_what_was_found_and_why(call, archive, tmp_path):
    empty, texts, broken, level = (tmp_path / name for name in ("empty", "texts", "broken", "level"))
    for folder in (empty, texts):
        folder.mkdir()
    (texts / "notes.txt").write_text("x")
    shutil.copytree(archive, broken)
    for image in broken.rglob("*SPECTRAL_IMAGE.TIF"):
        image.write_bytes(b"")
    write_noise_tile(level, 1)
    for path in sorted(level.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.replace("L2A", "L1B")))
    region, listed = tmp_path / "far.geojson", tmp_path / "list.csv"
    region.write_text(json.dumps({"type": "FeatureCollection", "features": [FAR]}))
    listed.write_text("tile_id,version\nDT0000000009_001,\n")
    for number, (place, options, words) in enumerate(
        [
            (empty, [], "The archive is empty"),
            (texts, [], "No EnMAP L2A product was found among 1 file: notes.txt"),
            (broken, [], "Found 2 products, none of which can be used: 2 EmptyFileError"),
            (broken, ["--accept-quarantined"], "2 EmptyFileError"),
            (level, [], "1 WrongLevelError"),
            (archive, ["--manifest", listed], "has none of the 1 tile on this list"),
            (archive, ["--set", "quality.min_sun_elevation=89"], "2 of them: sun at"),
            (archive, ["--set", f"plan.region={region}"], "2 of them: outside plan.region"),
            (archive, ["--set", "plan.min_dates=9"], "plan.min_dates = 9"),
            (archive, ["--set", "plan.stop=2001-01-01"], "acquired outside"),
        ]
    ):
        dataset = tmp_path / f"d{number}"
        done = call("build", place, dataset, *INLINE, *options)
        said = " ".join(done.stderr.split())
        assert done.exit_code == 2, (place, options, done.output)
        assert words in said, said
        assert not (dataset / "manifest.json").exists()
    for verb in (["scan", broken], ["scan", level], ["scan", texts]):
        assert call(*verb, tmp_path / "s", *INLINE).exit_code == 2
    assert call("scan", archive, tmp_path / "p", *INLINE).exit_code == 0
    for verb in (["plan", tmp_path / "p"], ["plan", tmp_path / "p"], ["cut", archive, tmp_path / "p"]):
        done = call(*verb, *INLINE, "--set", "plan.min_dates=9")
        assert done.exit_code == 2
        assert "No patch can be cut" in done.stderr
    assert not (tmp_path / "p" / "manifest.json").exists()


@pytest.mark.slow
def test_when_every_tile_fails_in_cut_nothing_is_published(call, archive, tmp_path):
    own, dataset = shutil.copytree(archive, tmp_path / "a"), tmp_path / "d"
    for verb in (["scan", own, dataset], ["plan", dataset]):
        assert call(*verb, *INLINE).exit_code == 0
    for image in own.rglob("*SPECTRAL_IMAGE.TIF"):
        image.write_bytes(b"no raster")
    for _ in range(2):
        done = call("cut", own, dataset, *INLINE, "--accept-quarantined")
        assert done.exit_code == 2, done.output
        assert "None of 2 planned patches could be cut; 2 tiles failed: 2 " in done.stderr
    assert not (dataset / "manifest.json").exists()


@pytest.mark.slow
def test_a_quarantined_product_can_be_accepted_and_faults_of_the_disk_cannot(call, archive, tmp_path):
    own, dataset = shutil.copytree(archive, tmp_path / "a"), tmp_path / "d"
    next(write_noise_tile(own, 4).glob("*SPECTRAL_IMAGE.TIF")).write_bytes(b"")
    build = ("build", own, dataset, *INLINE)
    assert call(*build).exit_code == 4
    done = call(*build, "--accept-quarantined")
    assert done.exit_code == 0
    assert "quarantined: 1 EmptyFileError of 3 products: accepted" in done.output
    assert call(*build, "--set", "run.accept_quarantined=0.5").exit_code == 0
    done = call(*build, "--set", "run.accept_quarantined=0.05")
    assert done.exit_code == 4
    assert "not covered by run.accept_quarantined" in done.output
    for verb in (["scan", own, dataset], ["cut", own, dataset]):
        assert call(*verb, *INLINE).exit_code == 4
        assert call(*verb, *INLINE, "--accept-quarantined").exit_code == 0
