"""Rows of the store: whole shards of one tile, nothing twice."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.rows import assign_rows
from spectralearth_build.tables import PATCHES


def table(keys):
    return PATCHES.arrow(
        pd.DataFrame(
            [{"tile_id": tile, "location_id": str(n), "patch_id": f"{tile}{n}"} for tile, n in keys],
            columns=["tile_id", "location_id", "patch_id"],
        )
    )


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), unique=True, max_size=25),
    st.integers(1, 4),
)
def test_shards_hold_one_tile_and_are_filled_in_order(keys, shard_rows):
    patches = table(sorted(keys, key=lambda key: key[1]))
    rows = assign_rows(patches, shard_rows).to_pandas()
    assert sorted(zip(rows["tile_id"], rows["location_id"], strict=True)) == sorted(
        (t, str(n)) for t, n in keys
    )
    assert (rows["shard"] == rows["store_row"] // shard_rows).all()
    assert rows["store_row"].is_unique
    assert rows["store_row"].is_monotonic_increasing
    for _, shard in rows.groupby("shard"):
        assert shard["tile_id"].nunique() == 1
        assert (shard["store_row"] % shard_rows).tolist() == list(range(len(shard)))  # no hole before the end
    needed = sum(-(-count // shard_rows) for count in rows["tile_id"].value_counts())
    assert sorted(rows["shard"].unique()) == list(range(needed))


def test_the_order_of_the_tiles_changes_nothing():
    assert assign_rows(table(zip("babc", [1, 2, 3, 0], strict=True)), 2).equals(
        assign_rows(table(zip("cabb", [0, 2, 1, 3], strict=True)), 2)
    )
