"""Bundles of jobs: all of them once, the largest first, none needlessly large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.tasks import ComponentTask, bundles, tiles_per_task


@given(st.lists(st.integers(1, 80), max_size=30), st.integers(1, 100))
def test_bundles_hold_every_job_once_and_the_largest_first(sizes, tiles):
    jobs = [ComponentTask(number, [None] * size, {}) for number, size in enumerate(sizes)]
    found = bundles(jobs, tiles)
    assert sorted(job.number for bundle in found for job in bundle) == list(range(len(sizes)))
    counts = [[len(job.members) for job in bundle] for bundle in found]
    assert [n for bundle in counts for n in bundle] == sorted(sizes, reverse=True)
    assert all(sum(bundle[:-1]) < tiles for bundle in counts)
    assert all(sum(bundle) >= tiles for bundle in counts[:-1])


@pytest.mark.parametrize(
    ("tiles", "workers", "expected"), [(5, 2, 32), (11_636, 2, 128), (4_000, 2, 62), (11_636, 100, 32)]
)
def test_tasks_are_larger_if_there_are_many_for_each_worker(tiles, workers, expected):
    assert tiles_per_task(tiles, workers) == expected
