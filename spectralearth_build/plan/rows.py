"""Assign a row of the store to each patch. The patches of a tile fill shards of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def assign_rows(patches: pa.Table, shard_rows: int, first_shard: int = 0) -> pa.Table:
    """Sort patches by tile and set their ``store_row`` and ``shard``.

    A shard has patches of one tile only, so that a task that reads one tile writes whole files. The last shard of a
    tile may be partly empty: its last rows do not exist.

    Args:
        patches: table with tile_id, store_row and shard; the patches of each tile are in their final order.
        shard_rows: rows in a shard.
        first_shard: number of the first shard.
    """
    coded = patches["tile_id"].combine_chunks().dictionary_encode()
    rank = pc.rank(coded.dictionary, tiebreaker="dense").to_numpy().astype(np.int64) - 1
    tile = rank[coded.indices.to_numpy()] if len(patches) else np.empty(0, np.int64)
    order = np.argsort(tile, kind="stable")
    count = np.bincount(tile)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(count) - count, count)
    needed = -(-count // shard_rows)
    shard = first_shard + np.repeat(np.cumsum(needed) - needed, count) + within // shard_rows
    given = {"store_row": shard * shard_rows + within % shard_rows, "shard": shard}
    ordered = patches.take(order)
    for name, values in given.items():
        ordered = ordered.set_column(ordered.schema.get_field_index(name), name, pa.array(values))
    return ordered
