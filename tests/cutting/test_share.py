"""Shares of the tiles, cut by several runs, give what one run gives."""

import shutil
import subprocess
import sys

import pytest

from spectralearth_build.api.building import cut_patches
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.cluster import Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting import cut as cutting
from spectralearth_build.cutting.share import Share
from spectralearth_build.errors import UsageError
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import LOCK, PENDING_LIST, ROOT, SCRATCH, committed_shards
from spectralearth_build.lock import alone
from spectralearth_build.pipeline import Run
from tests.support.files import tree
from tests.support.late_hole import AT_CUT, strips_with_hole
from tests.support.processes import environment, started, wait_for
from tests.support.small_archive import CONFIG, archive_of, run_stages

NUMBERS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("shares") / "archive", *NUMBERS)


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory):
    return tree(run_stages(archive, tmp_path_factory.mktemp("once") / "d"))


@pytest.fixture(scope="module")
def planned(archive, tmp_path_factory):
    return begun(archive, tmp_path_factory.mktemp("planned") / "d", CONFIG)


def begun(archive, dataset, config):
    run = Run(dataset, config, InlineExecutor())
    run.scan(archive)
    run.plan()
    return dataset


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_each_tile_is_in_one_share_whatever_is_done(count):
    tiles = [f"t{n}" for n in range(13)]
    shares = [Share(number, count).of(dict.fromkeys(tiles, 0), tiles) for number in range(1, count + 1)]
    assert sorted(tile for share in shares for tile in share) == sorted(tiles)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    left = {"t3": 0, "t12": 0}
    assert [list(Share(number, count).of(left, tiles)) for number in range(1, count + 1)] == [
        [tile for tile in share if tile in left] for share in shares
    ]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.5/3", "1 / 4"])
def test_what_is_no_share_is_refused(text, archive, tmp_path):
    with pytest.raises(UsageError, match="not a share"):
        Share.parse(text)
    with pytest.raises(UsageError, match="not a share"):  # above all "", of a variable that is not set
        cut_patches(archive, tmp_path, share=text)
    assert Share.parse("3/16") == Share(3, 16)


def test_shares_and_then_cut_give_the_same_bytes(archive, expected, planned, tmp_path, capsys):
    dataset = shutil.copytree(planned, tmp_path / "d")
    run = Run(dataset, CONFIG, InlineExecutor())
    for number in (2, 3, 1):
        assert not (dataset / ROOT).exists()
        run.cut_share(archive, Share(number, 3))
    run.cut_share(archive, Share(1, 3))
    said = capsys.readouterr().out
    assert said.count("2 tiles cut") == 2
    assert said.count("1 tile cut") == said.count("nothing to do") == 1
    assert not list((dataset / SCRATCH).glob("*"))
    run.cut(archive)
    assert "cut: 0 tiles cut; the dataset has 6 patches" in capsys.readouterr().out
    assert tree(dataset) == expected


@pytest.mark.slow
def test_a_hole_that_another_share_finds_counts_at_the_end(tmp_path):
    archive = strips_with_hole(tmp_path / "archive")
    expected = tree(run_stages(archive, tmp_path / "once", config=AT_CUT))
    for order in ((1, 2), (2, 1)):
        dataset = begun(archive, tmp_path / f"first-{order[0]}", AT_CUT)
        run = Run(dataset, AT_CUT, InlineExecutor())
        for number in order:
            run.cut_share(archive, Share(number, 2))
        run.cut(archive)
        assert tree(dataset) == expected


@pytest.mark.parametrize("name", [LOCK, PENDING_LIST])
def test_a_share_waits_for_a_run_that_changes_the_dataset(archive, planned, tmp_path, name):
    dataset = shutil.copytree(planned, tmp_path / "d")
    write_bytes(dataset / name, b"{}")
    with pytest.raises(UsageError, match="changing the dataset"):
        Run(dataset, CONFIG, InlineExecutor()).cut_share(archive, Share(1, 2))
    assert not committed_shards(dataset)


def test_a_failure_is_not_noted_when_another_run_may_have_caused_it(archive, planned, tmp_path):
    dataset = shutil.copytree(planned, tmp_path / "d")

    class Disturbed(InlineExecutor):
        def run(self, stage, function, tasks):
            write_bytes(dataset / LOCK, b"{}")  # that run deletes temporary files
            for key in tasks:
                yield key, Failure(key, "MissingFileError", "There is no such file.")

    with pytest.raises(UsageError, match="changing the dataset"):
        Run(dataset, CONFIG, Disturbed()).cut_share(archive, Share(1, 1))
    assert not (dataset / "work" / "failed").exists()


def test_runs_of_the_same_share_have_temporary_files_of_their_own(archive, planned, tmp_path, monkeypatch):
    dataset = shutil.copytree(planned, tmp_path / "d")
    made = []
    monkeypatch.setattr(
        cutting, "UnpackCache", lambda folder, wanted: made.append(folder) or UnpackCache(folder, wanted)
    )
    for _ in range(2):
        Run(dataset, CONFIG, InlineExecutor()).cut_share(archive, Share(1, 9))
    assert len({folder.parent for folder in made}) == 2


def command(archive, dataset, share):
    words = ["cut", archive, dataset, "--share", share, "--scheduler", "inline"]
    words += ["--set", "store.shard_rows=1", "--set", "run.check_space=false"]
    return [sys.executable, "-m", "spectralearth_build", *map(str, words)]


@pytest.mark.slow
def test_shares_side_by_side_keep_others_out_but_not_each_other(archive, expected, planned, tmp_path):
    dataset = shutil.copytree(planned, tmp_path / "d")
    with alone(dataset, write=False):  # as another share does
        several = [command(archive, dataset, f"{number}/2") for number in (1, 2, 2)]
        processes = [subprocess.Popen(each, env=environment()) for each in several]
        assert [process.wait(240) for process in processes] == [0] * 3
        with pytest.raises(UsageError, match="Another run is using"), alone(dataset):
            pass
    with alone(dataset):
        refused = subprocess.run(several[0], env=environment(), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "Another run is using the folder" in refused.stderr
    Run(dataset, CONFIG, InlineExecutor()).cut(archive)
    assert tree(dataset) == expected


@pytest.mark.slow
def test_a_share_that_is_killed_is_cut_again(archive, expected, planned, tmp_path):
    dataset = shutil.copytree(planned, tmp_path / "d")
    with started(command(archive, dataset, "1/1")) as process:
        wait_for(lambda: committed_shards(dataset))
        process.kill()
        process.wait(60)
    for number in (1, 2):
        assert (
            subprocess.run(
                command(archive, dataset, f"{number}/2"), env=environment(), check=False
            ).returncode
            == 0
        )
    Run(dataset, CONFIG, InlineExecutor()).cut(archive)
    assert tree(dataset) == expected
