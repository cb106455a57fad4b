"""Rows of the store: whole shards of one tile, nothing twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.rows import ShardRows


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4), st.integers(0, 5), st.integers(0, 12))
def test_shards_hold_one_tile_and_are_filled_in_order(patches, shard_rows, first_shard, split):
    """Whatever is numbered at a time, as long as it has whole tiles."""
    numbering = ShardRows(np.array(patches, np.int64), shard_rows, first_shard)
    tiles = np.repeat(np.arange(len(patches)), patches)
    at = int(np.searchsorted(tiles, split))
    shard, row = (
        np.concatenate(both) for both in zip(numbering.of(tiles[:at]), numbering.of(tiles[at:]), strict=True)
    )
    assert (shard == row // shard_rows).all()
    assert (np.diff(row) > 0).all()
    wanted = iter(range(first_shard, first_shard + numbering.shards))
    for tile, count in enumerate(patches):
        for start in range(0, count, shard_rows):
            here = np.flatnonzero(tiles == tile)[start : start + shard_rows]
            assert set(shard[here]) == {next(wanted)}
            assert (row[here] % shard_rows).tolist() == list(range(len(here)))  # no hole before the end
    assert [*wanted] == []
