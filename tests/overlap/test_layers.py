"""Runs of several layers of a mask, against the pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.mask_layers import runs_of_layers, runs_of_mask
from spectralearth_build.overlap.region import Region

BYTES = st.sampled_from([0, 1, 1, 1, 3, 7, 130, 255])


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 7), st.integers(0, 40)), elements=BYTES))
def test_each_layer_is_painted_back(mask):
    every = np.arange(256)
    layers = [every & 1 > 0, every & 2 > 0, every >= 128, every == 7, every < 0]
    box = Box(-9, 13, *mask.shape)
    found = runs_of_layers(mask, layers, box.line, box.col)
    assert len(found) == len(layers)
    for runs, layer in zip(found, layers, strict=True):
        assert runs.dtype == np.int32
        assert np.array_equal(Region(runs).to_mask(box), layer[mask])
        assert (runs[:, 1] < runs[:, 2]).all()
        gap = (np.diff(runs[:, 0]) > 0) | (runs[1:, 1] > runs[:-1, 2])  # sorted, and never touching
        assert gap.all()


def test_a_mask_with_more_changes_than_expected():
    mask = np.indices((3, 500)).sum(axis=0) % 2 == 0
    runs = runs_of_mask(mask, 0, 0)
    assert len(runs) == 750
    assert np.array_equal(Region(runs).to_mask(Box(0, 0, 3, 500)), mask)
    assert np.array_equal(runs_of_mask(mask[:, ::-1], 0, 0), runs_of_mask(mask[:, ::-1].copy(), 0, 0))
