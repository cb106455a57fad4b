"""Set operations on runs, against numpy's on pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.combine import combined, merged
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region

BOX = Box(-3, -4, 6, 20)
MASKS = hnp.arrays(np.bool_, (6, 20))


@given(MASKS, MASKS, st.booleans(), st.booleans(), st.booleans())
def test_every_operation(a, b, only_a, only_b, both):
    runs = combined(*(Region.from_mask(mask, BOX).runs for mask in (a, b)), only_a, only_b, both)
    expected = (a & ~b & only_a) | (b & ~a & only_b) | (a & b & both)
    assert np.array_equal(runs, Region.from_mask(expected, BOX).runs)


@given(st.lists(st.tuples(st.integers(-3, 2), st.integers(-4, 15), st.integers(1, 4)), max_size=30))
def test_runs_in_any_order_are_merged(pieces):
    runs = np.array([(line, start, start + size) for line, start, size in pieces], np.int64).reshape(-1, 3)
    painted = np.zeros((6, 24), np.bool_)
    for line, start, stop in runs:
        painted[line + 3, start + 4 : stop + 4] = True
    assert np.array_equal(merged(runs), Region.from_mask(painted, Box(-3, -4, 6, 24)).runs)
