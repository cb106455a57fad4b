"""The tables of a plan made at once and in memory, as earlier versions made them: the truth for those made in parts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.layout import PatchStatus
from spectralearth_build.plan.assemble import replaced
from spectralearth_build.tables import PATCHES


def whole(parts, tiles, shard_rows, first_shard=0, generation=0):
    """Overlaps, tuples, locations and patches of the components in ``parts``, each with these four tables."""
    overlaps, tuples, locations, patches = (pa.concat_tables(each) for each in zip(*parts, strict=True))
    whole = PATCHES.arrow({name: patches[name] for name in patches.column_names})
    return (
        by_component(overlaps),
        by_component(tuples),
        locations.take(pc.sort_indices(locations["location_id"])),
        dated(assign_rows(whole, shard_rows, first_shard), tiles, generation),
    )


def by_component(table):
    return table.take(np.argsort(table["component"].to_numpy(), kind="stable"))


def assign_rows(patches, shard_rows, first_shard):
    coded = patches["tile_id"].combine_chunks().dictionary_encode()
    rank = pc.rank(coded.dictionary, tiebreaker="dense").to_numpy().astype(np.int64) - 1
    tile = rank[coded.indices.to_numpy()] if len(patches) else np.empty(0, np.int64)
    order = np.argsort(tile, kind="stable")
    count = np.bincount(tile)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(count) - count, count)
    needed = -(-count // shard_rows)
    shard = first_shard + np.repeat(np.cumsum(needed) - needed, count) + within // shard_rows
    rows = {"store_row": shard * shard_rows + within % shard_rows, "shard": shard}
    return replaced(patches.take(order), rows)


def dated(patches, tiles, generation):
    tile = pc.index_in(patches["tile_id"], pa.array(tiles["tile_id"], pa.string()))
    of_tile = {
        name: pa.array(tiles[name], PATCHES.schema.field(name).type, from_pandas=True).take(tile)
        for name in ("acquired", "correction", "correction_assumed")
    }
    return replaced(
        patches, of_tile | {"generation": generation, "status": PatchStatus.PLANNED, "reason": ""}
    )
