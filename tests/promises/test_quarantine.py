"""P5, P6: a bad tile costs itself and nothing else, an innocent one is never convicted, and each may be tried again."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from spectralearth_build import pipeline
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.isolate import run_alone
from spectralearth_build.cutting.cut import STAGE
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.errors import NothingFoundError
from spectralearth_build.tables import PATCHES, QUARANTINE, TILES
from tests.support.files import tree
from tests.support.small_archive import CONFIG, archive_of, image_of, run_stages, spec_of, write_tile

BAD = 2


def poisoned(what, archive, dataset, task):
    """`cut_tile`, but one tile brings down the process that works on it."""
    if task.tile_id == spec_of(BAD).tile_id:
        if what == "raises":
            raise ArithmeticError("poison")
        if what == "hangs":
            signal.pause()
        os.kill(os.getpid(), signal.SIGSEGV)
    return cut_tile(archive, dataset, task)


class Poisoned(InlineExecutor):
    """Cuts each tile alone in a process, as every executor does with suspects; one of them is poison."""

    def __init__(self, what):
        object.__setattr__(self, "workers", 1)
        object.__setattr__(self, "memory_limit", None)
        object.__setattr__(self, "what", what)

    def run(self, stage, function, tasks):
        if stage != STAGE:
            yield from super().run(stage, function, tasks)
            return
        for key, arguments in tasks.items():
            if key != spec_of(BAD).tile_id:
                yield key, function(*arguments)
            else:
                yield key, run_alone(key, poisoned, (self.what, *arguments), 3)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("poison") / "archive", 1, 2, 3)


@pytest.fixture(scope="module")
def sound(archive, tmp_path_factory):
    """What a build leaves if nothing is wrong."""
    return tree(run_stages(archive, tmp_path_factory.mktemp("sound") / "d"))


@pytest.mark.parametrize(
    ("what", "kind"),
    [("raises", "ArithmeticError"), ("crashes", "WorkerLostError"), ("hangs", "TimeLimitError")],
)
def test_poison_is_convicted_and_the_rest_is_as_without_it(what, kind, archive, sound, tmp_path):
    dataset = tmp_path / "d"
    run_stages(archive, dataset, Poisoned(what))
    assert verify(dataset, archive) == []
    found = QUARANTINE.read(dataset)
    assert found["error_class"].tolist() == [kind]
    assert found["stage"].tolist() == ["cut"]
    assert found["tile_id"].tolist() == [spec_of(BAD).tile_id]
    patches = PATCHES.read(dataset)
    assert set(patches.loc[patches["status"] == "skipped", "tile_id"]) == {spec_of(BAD).tile_id}
    shards = {name: digest for name, digest in tree(dataset).items() if "/c." in name and "reflect" in name}
    assert shards
    assert all(sound[name] == digest for name, digest in shards.items())
    before = tree(dataset)
    run_stages(archive, dataset, Poisoned(what))  # it is tried again, and is the same
    assert tree(dataset) == before
    run_stages(archive, dataset)  # the machine was to blame
    assert tree(dataset) == sound


def test_causes_are_grouped_and_what_scan_refused_is_tried_again(archive, sound, tmp_path):
    own = shutil.copytree(archive, tmp_path / "archive")
    good = {}
    for number, data in ((4, b""), (5, b""), (6, b"no raster")):
        write_tile(own, number)
        image = image_of(own, number)
        good[image] = image.read_bytes()
        image.write_bytes(data)
    dataset = tmp_path / "d"
    run_stages(own, dataset)
    found = QUARANTINE.read(dataset)
    assert found["error_class"].tolist() == ["EmptyFileError", "EmptyFileError", "BrokenRasterError"]
    assert set(found["stage"]) == {"scan"}
    assert found["cause"].iloc[0] == "A file of zero bytes."
    assert found["remedy"].iloc[0].startswith("Download")
    tiles = TILES.read(dataset)
    assert pipeline.causes(tiles) == "2 EmptyFileError, 1 BrokenRasterError"
    assert pipeline.retry_quarantined(dataset) == 3
    run_stages(own, dataset)
    assert len(QUARANTINE.read(dataset)) == 3


def test_a_patch_skipped_for_its_neighbour_is_cut_once_that_is_back(tmp_path):
    """A window that straddles two tiles of one datatake, of which the one is away for a while."""
    from tests.support.straddling_archive import straddling_archive

    archive, dataset = straddling_archive(tmp_path / "archive"), tmp_path / "d"
    run_stages(archive, tmp_path / "sound")
    expected = tree(tmp_path / "sound")
    patches = PATCHES.read(tmp_path / "sound")
    assert (patches["sources"].map(len) > 1).any()
    first = next(iter(archive.glob("*_001_*")))
    config, executor = CONFIG, InlineExecutor()
    run = pipeline.Run(dataset, config, executor)
    run.scan(archive)
    run.plan()
    image = next(first.glob("*SPECTRAL_IMAGE.TIF"))
    image.rename(tmp_path / "away")
    with pytest.raises(NothingFoundError, match="cannot be read: MissingFileError"):
        run.cut(archive)  # it is the only window
    before = tree(dataset)
    with pytest.raises(NothingFoundError):
        run.cut(archive)  # still away
    pipeline.retry_quarantined(dataset)
    assert tree(dataset) == before  # a verdict stands until its tile is cut again
    (tmp_path / "away").rename(image)
    run_stages(archive, dataset)
    assert tree(dataset) == expected


def test_an_exception_that_passes_quarantines_nothing(archive, sound, tmp_path, monkeypatch):
    """A file that cannot be opened once, as on a network disk."""
    real, failed = Path.open, []

    def unsteady(path, *args, **kwargs):
        if path.name.endswith("METADATA.XML") and not failed:
            failed.append(path)
            raise OSError(5, "Input/output error", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", unsteady)
    run_stages(archive, tmp_path / "d")
    assert failed
    assert tree(tmp_path / "d") == sound


def test_a_failure_is_what_its_process_says():
    outcome = run_alone("k", os.kill, (0, "no number"), 60)
    assert isinstance(outcome, Failure)
    assert outcome.error_class == "TypeError"
