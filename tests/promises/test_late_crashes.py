"""P2, P3, when cut judges the pixels: stopped at any moment, also between the two looks at a neighbour's hole."""

from __future__ import annotations

import random

import pytest

from spectralearth_build.layout import EXACT
from tests.promises.test_crash_points import wrong
from tests.support.files import tree
from tests.support.late_hole import AT_CUT, strips_with_hole
from tests.support.recorded_disk import Disk
from tests.support.small_archive import run_stages

RESUMED = 10
"""Of the different states, how many are resumed where not all are asked for."""


def _is_exact(name):
    return name.startswith(EXACT) and name.endswith(".mask")


@pytest.mark.slow
def test_every_crash_is_resumed_to_the_same_bytes(tmp_path, every_point):
    archive = strips_with_hole(tmp_path / "archive")
    disk = Disk(tmp_path / "recorded")
    with disk.watched():
        run_stages(archive, disk.folder, config=AT_CUT)
    assert not wrong(disk)
    expected, states = tree(disk.folder), list(disk.states())
    different = list({state.without_partials(): (name, state) for name, state in reversed(states)}.values())
    judged = [each for each in different if any(_is_exact(name) for name in each[1].files)]
    assert len(judged) >= RESUMED
    for number, (name, state) in enumerate(
        states if every_point else random.Random(1).sample(judged, RESUMED)
    ):
        dataset = disk.restore(state, tmp_path / str(number))
        run_stages(archive, dataset, config=AT_CUT)
        assert tree(dataset) == expected, name
    print(
        f"{len(disk.points)} points, {len(judged)} of {len(different)} different states after a hole was found"
    )
