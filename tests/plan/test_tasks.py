"""Bundles of jobs: all of them once, the largest first, none needlessly large."""

from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.tasks import TILES_PER_TASK, ComponentTask, bundles


@given(st.lists(st.integers(1, 80), max_size=30))
def test_bundles_hold_every_job_once_and_the_largest_first(sizes):
    jobs = [ComponentTask(number, [None] * size, {}) for number, size in enumerate(sizes)]
    found = bundles(jobs)
    assert sorted(job.number for bundle in found for job in bundle) == list(range(len(sizes)))
    counts = [[len(job.members) for job in bundle] for bundle in found]
    assert [n for bundle in counts for n in bundle] == sorted(sizes, reverse=True)
    assert all(sum(bundle[:-1]) < TILES_PER_TASK for bundle in counts)
    assert all(sum(bundle) >= TILES_PER_TASK for bundle in counts[:-1])
