"""Runs against plain boolean masks, pixel by pixel."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region, union
from spectralearth_build.overlap.runs import outside, transposed

SHAPE = (9, 11)
MASKS = hnp.arrays(np.bool_, SHAPE, elements=st.sampled_from([True, True, True, False]))
BOX = Box(-3, 5, *SHAPE)
SIZES = st.integers(1, 4)


def region(mask):
    return Region.from_mask(mask, BOX)


def every_pixel():
    return (np.argwhere(np.ones(SHAPE, bool)) + [BOX.line, BOX.col]).astype(np.int32)


def counts_by_brute_force(mask, size):
    """Pixels of the mask in the window of each anchor; windows may stick out."""
    return np.array(
        [[mask[i : i + size, j : j + size].sum() for j in range(SHAPE[1])] for i in range(SHAPE[0])]
    )


@given(MASKS)
def test_mask_round_trip_area_and_box(mask):
    assert np.array_equal(region(mask).to_mask(BOX), mask)
    assert region(mask).area == mask.sum()
    assert bool(region(mask)) == mask.any()
    if mask.any():
        lines, cols = np.nonzero(mask)
        box = region(mask).box
        assert (box.line, box.stop_line) == (BOX.line + lines.min(), BOX.line + lines.max() + 1)
        assert (box.col, box.stop_col) == (BOX.col + cols.min(), BOX.col + cols.max() + 1)


@given(MASKS)
def test_runs_are_sorted_disjoint_and_never_touch(mask):
    runs = region(mask).runs
    assert (runs[:, 1] < runs[:, 2]).all()
    for (line, _, stop), (next_line, start, _) in pairwise(runs):
        assert next_line > line or start > stop


@given(MASKS, MASKS)
def test_set_algebra(a, b):
    assert np.array_equal((region(a) & region(b)).to_mask(BOX), a & b)
    assert np.array_equal((region(a) | region(b)).to_mask(BOX), a | b)
    assert np.array_equal((region(a) - region(b)).to_mask(BOX), a & ~b)


@given(st.lists(MASKS, max_size=4))
def test_union_of_many(masks):
    expected = np.any(masks, axis=0) if masks else np.zeros(SHAPE, bool)
    assert np.array_equal(union([region(m) for m in masks]).to_mask(BOX), expected)


@pytest.mark.slow
@given(MASKS, SIZES)
def test_anchors_are_windows_without_a_hole(mask, size):
    windows_inside = np.zeros(SHAPE, bool)
    inner = windows_inside[: SHAPE[0] - size + 1, : SHAPE[1] - size + 1]
    inner[:] = counts_by_brute_force(mask, size)[: inner.shape[0], : inner.shape[1]] == size**2
    assert np.array_equal(region(mask).anchors(size).to_mask(BOX), windows_inside)


@given(MASKS, MASKS, SIZES, st.integers(0, 16))
def test_limit_on_flags_in_a_window(anchors, flags, size, limit):
    kept = region(anchors).where_at_most(region(flags), limit, size).to_mask(BOX)
    assert np.array_equal(kept, anchors & (counts_by_brute_force(flags, size) <= limit))


@pytest.mark.slow
@given(MASKS, SIZES)
def test_pixels_in_windows_and_points(mask, size):
    points = every_pixel()
    assert np.array_equal(
        region(mask).count_in(points, size).reshape(SHAPE), counts_by_brute_force(mask, size)
    )
    assert np.array_equal(region(mask).contains(points).reshape(SHAPE), mask)


@given(hnp.arrays(np.int64, SHAPE, elements=st.integers(0, 3)))
def test_transposed_runs_down_the_columns(plane):
    levels = [(v, Region.from_mask(plane == v, BOX).runs) for v in range(1, 4)]
    segments = np.concatenate([runs for _, runs in levels])
    values = np.concatenate([np.full(len(runs), v) for v, runs in levels])
    order = np.lexsort((segments[:, 1], segments[:, 0]))
    turned, turned_values = transposed(segments[order], values[order])
    found = np.zeros_like(plane)
    for (col, start, stop), value in zip(turned, turned_values, strict=True):
        found[start - BOX.line : stop - BOX.line, col - BOX.col] += value
    assert np.array_equal(found, plane)
    assert (np.lexsort((turned[:, 1], turned[:, 0])) == np.arange(len(turned))).all()
    touching = (turned[1:, 0] == turned[:-1, 0]) & (turned[1:, 1] == turned[:-1, 2])
    assert (turned_values[1:][touching] != turned_values[:-1][touching]).all()


@given(MASKS, MASKS, MASKS)
def test_outside_keeps_the_parts_of_each_segment(plane, other, blocked):
    """Segments of two kinds, which may touch, are cut where something is blocked, and nowhere else."""
    runs = np.concatenate([region(plane).runs, region(other & ~plane).runs])
    segments = runs[np.lexsort((runs[:, 1], runs[:, 0]))]
    parts, parents = outside(segments, region(blocked).runs)
    expected = []
    for k, (line, start, stop) in enumerate(segments.tolist()):
        free = [c for c in range(start, stop) if not blocked[line - BOX.line, c - BOX.col]]
        first = [c for c in free if c - 1 not in free]
        last = [c for c in free if c + 1 not in free]
        expected += [(line, a, b + 1, k) for a, b in zip(first, last, strict=True)]
    assert [(*part, k) for part, k in zip(parts.tolist(), parents.tolist(), strict=True)] == expected
