"""P2, P6: SIGKILL to the whole of a running build, or to single workers, at random times. `--soak HOURS` goes on."""

from __future__ import annotations

import random
import shutil
import time

import pytest

from spectralearth_build.tables import TILES
from tests.support.files import tree
from tests.support.killing import INLINE, TWO_WORKERS, finished, finished_among_kills, killed_at
from tests.support.small_archive import write_tile

STOPPED = 75


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills") / "archive"
    for number in range(1, 5):
        write_tile(folder, number)
    return folder


@pytest.fixture(scope="module")
def undisturbed(archive, tmp_path_factory):
    """What a build leaves in peace, and how many seconds it takes."""
    dataset = tmp_path_factory.mktemp("peace") / "d"
    began = time.monotonic()
    assert finished(archive, dataset) == 0
    return tree(dataset), time.monotonic() - began


def test_the_whole_build_killed_again_and_again(archive, undisturbed, tmp_path):
    expected, seconds = undisturbed
    kills = sum(
        killed_at(archive, tmp_path / "d", how, seconds * share)
        for how, share in ((INLINE, 0.4), (TWO_WORKERS, 0.9), (INLINE, 0.6))
    )
    print(f"{kills} builds killed")
    assert kills
    assert finished(archive, tmp_path / "d") == 0
    assert tree(tmp_path / "d") == expected


def test_single_workers_killed_while_the_build_runs_on(archive, undisturbed, tmp_path):
    expected, seconds = undisturbed
    status, kills, said = finished_among_kills(
        archive, tmp_path / "d", random.Random(3), (seconds * 0.15, seconds * 0.3), 4
    )
    print(f"{kills} workers killed")
    assert kills
    assert status in (0, STOPPED), said
    assert status == 0 or finished(archive, tmp_path / "d") == 0
    assert tree(tmp_path / "d") == expected
    assert "quarantined" not in set(TILES.read(tmp_path / "d")["status"])


def test_soak(archive, undisturbed, tmp_path, soak_hours):
    """Hours of it: each dataset is killed up to eight times before it may be finished."""
    expected, seconds = undisturbed
    dice, end = random.Random(time.time_ns()), time.monotonic() + 3600 * soak_hours
    datasets = trees = workers = stops = 0
    while time.monotonic() < end:
        dataset = tmp_path / str(datasets) / "d"  # the report bears the name of the folder
        for _ in range(dice.randint(1, 8)):
            if dice.random() < 0.5:
                how = dice.choice((INLINE, INLINE, TWO_WORKERS))
                trees += killed_at(archive, dataset, how, dice.uniform(0.1, 1.2) * seconds)
            else:
                pause = (0.02 * seconds, 0.4 * seconds)
                status, kills, said = finished_among_kills(archive, dataset, dice, pause, dice.randint(1, 6))
                workers, stops = workers + kills, stops + (status == STOPPED)
                assert status in (0, STOPPED), said
            if time.monotonic() > end:
                break
        assert finished(archive, dataset) == 0
        assert tree(dataset) == expected
        assert set(TILES.read(dataset)["status"]) <= {"used", "unused"}
        shutil.rmtree(dataset.parent)
        datasets += 1
        print(
            f"{datasets} datasets, {trees} builds and {workers} workers killed, {stops} runs stopped, 0 failures",
            flush=True,
        )
