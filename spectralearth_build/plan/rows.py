"""Which row of the store each patch gets: rows of one tile fill whole shards of their own."""

from __future__ import annotations

import pandas as pd


def assign_rows(patches: pd.DataFrame, shard_rows: int, first_shard: int = 0) -> pd.DataFrame:
    """Sort patches by tile and location and give them ``store_row`` and ``shard``.

    A shard holds patches of one tile only, so that a task that reads one tile writes whole files. A tile's last shard
    may be partly empty: its last rows do not exist.

    Args:
        patches: with tile_id, location_id and patch_id.
        shard_rows: rows in a shard.
        first_shard: number of the first shard.
    """
    ordered = patches.sort_values(["tile_id", "location_id", "patch_id"], ignore_index=True)
    within = ordered.groupby("tile_id", sort=True).cumcount()
    needed = -(-ordered.groupby("tile_id", sort=True).size() // shard_rows)
    first = (needed.cumsum() - needed).reindex(ordered["tile_id"]).to_numpy()
    shard = first_shard + first + within // shard_rows
    return ordered.assign(shard=shard, store_row=shard * shard_rows + within % shard_rows)
