"""Filling and what is left free, against pixels one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region
from spectralearth_build.plan.fill import by_levels, free_of
from tests.support.placements import overlapping

LINE, COL = -7, -3
LEVELS = hnp.arrays(np.int64, (9, 13), elements=st.integers(0, 3)).filter(np.any)
SIZES = st.integers(1, 4)


def runs_of(plane):
    """The runs of equal values above 0, sorted, and their values."""
    box = Box(LINE, COL, *plane.shape)
    parts = [(Region.from_mask(plane == v, box).runs, v) for v in np.unique(plane[plane > 0])]
    runs = np.concatenate([runs for runs, _ in parts])
    values = np.concatenate([np.full(len(runs), v) for runs, v in parts])
    order = np.lexsort((runs[:, 1], runs[:, 0]))
    return runs[order], values[order]


def near(a, b, size):
    return abs(a[0] - b[0]) < size and abs(a[1] - b[1]) < size


@given(LEVELS, SIZES)
def test_levels_are_filled_in_reading_order(plane, size):
    expected = []
    for level in np.unique(plane[plane > 0])[::-1]:
        for at in np.argwhere(plane == level).tolist():
            if not any(near(at, other, size) for other in expected):
                expected.append(at)
    found = by_levels(*runs_of(plane), size)
    assert found.tolist() == (np.array(expected) + [LINE, COL]).tolist()


@given(LEVELS, SIZES)
def test_what_windows_leave_free(plane, size):
    segments, _ = runs_of(plane)
    spots = np.argwhere(plane > 0)[::5] + [LINE, COL]
    windows = []
    for at in spots.tolist():
        if not any(near(at, other, size) for other in windows):
            windows.append(at)
    assert overlapping([tuple(at) for at in windows], size) == []
    parts, parents = free_of(segments, np.array(windows, np.int32), size)
    expected = [
        (line, col, parent)
        for parent, (line, start, stop) in enumerate(segments.tolist())
        for col in range(start, stop)
        if not any(near((line, col), other, size) for other in windows)
    ]
    found = [
        (line, col, parent)
        for (line, start, stop), parent in zip(parts.tolist(), parents.tolist(), strict=True)
        for col in range(start, stop)
    ]
    assert found == expected
    joined = (parts[1:, 0] == parts[:-1, 0]) & (parts[1:, 1] == parts[:-1, 2])
    assert (parents[1:][joined] != parents[:-1][joined]).all()
    assert (parts[:, 1] < parts[:, 2]).all()


@pytest.mark.parametrize("size", [1, 128])
def test_nothing_has_no_windows(size):
    nothing, no_values = np.empty((0, 3), np.int32), np.empty(0, np.int64)
    assert by_levels(nothing, no_values, size).shape == (0, 2)
    assert free_of(nothing, np.empty((0, 2), np.int32), size)[0].shape == (0, 3)
