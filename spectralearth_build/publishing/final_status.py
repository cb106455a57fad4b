"""The final status of patches, locations and tiles, from the commit records."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from spectralearth_build.errors import UsageError
from spectralearth_build.layout import PatchStatus, TileStatus
from spectralearth_build.store.commit import Commit
from spectralearth_build.store.failed_tiles import FailedTile
from spectralearth_build.store.planned import Planned
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES


def given_up(
    planned: Planned, commits: Mapping[int, Commit], notes: Mapping[str, FailedTile]
) -> dict[str, FailedTile]:
    """Return the failure notes that still count: those of tiles with uncommitted shards.

    Raises:
        UsageError: There are shards that are neither committed nor given up.
    """
    missing = {
        tile: open_ones
        for tile, shards in planned.shards_by_tile.items()
        if (open_ones := [shard for shard in shards if shard not in commits])
    }
    unknown = sum(len(shards) for tile, shards in missing.items() if tile not in notes)
    if unknown:
        raise UsageError(
            f"{unknown} of {planned.shards} shards are not cut yet.",
            remedy="Run `cut ARCHIVE DATASET` again.",
        )
    return {tile: notes[tile] for tile in missing}


def final_tables(
    planned: Planned, commits: Mapping[int, Commit], failed: Mapping[str, FailedTile]
) -> dict[str, pd.DataFrame]:
    """Return the tables of patches, locations and tiles with their final status, by file name."""
    rows = {row for commit in commits.values() for row in commit.rows}
    patches = planned.patches.copy()
    live = patches["status"] != PatchStatus.RETIRED
    written = live & patches["store_row"].isin(rows)
    skipped = live & ~written
    patches.loc[written, ["status", "reason"]] = [PatchStatus.WRITTEN, ""]
    patches.loc[skipped, "status"] = PatchStatus.SKIPPED
    patches.loc[skipped, "reason"] = _reasons(patches[skipped], commits, failed)
    known = {row: checksum for commit in commits.values() for row, checksum in commit.checksums.items()}
    checksums = patches["store_row"].map(known).astype(float)
    # exact, since checksums are below 2**32
    patches["checksum"] = checksums.where(live, patches["checksum"].astype(float))
    patches = _with_values(patches, planned)
    locations = planned.locations.copy()
    dates = patches["location_id"][written].value_counts()
    locations["n"] = locations["location_id"].map(dates).fillna(0).astype(locations["n"].dtype)
    tables: dict[str, pd.DataFrame] = {PATCHES.file: patches, LOCATIONS.file: locations}
    tables[TILES.file] = _final_tiles(planned, patches[written], failed)
    return tables


def _with_values(patches: pd.DataFrame, planned: Planned) -> pd.DataFrame:
    """Complete patches planned by versions that did not record this, with values from the tile table."""
    unknown = patches["correction"].isna() & (patches["status"] != PatchStatus.RETIRED)
    if unknown.any():
        tiles = planned.eligible.reindex(patches.loc[unknown, "tile_id"])
        for name in ("correction", "correction_assumed"):
            patches.loc[unknown, name] = tiles[name].to_numpy()
    return patches


def _reasons(
    patches: pd.DataFrame, commits: Mapping[int, Commit], failed: Mapping[str, FailedTile]
) -> list[str]:
    """Return why patches were skipped."""
    known = {(c.shard, skip.patch_id): skip.reason for c in commits.values() for skip in c.skipped}
    return [
        known.get((shard, patch_id)) or f"{tile_id} failed: {failed[tile_id].error_class}"
        for shard, patch_id, tile_id in zip(
            patches["shard"], patches["patch_id"], patches["tile_id"], strict=True
        )
    ]


def _final_tiles(planned: Planned, written: pd.DataFrame, failed: Mapping[str, FailedTile]) -> pd.DataFrame:
    """Return the tile table: failed tiles become quarantined, tiles without remaining patches become unused."""
    tiles = planned.tiles.copy()
    of_plan = tiles["eligible"].eq(True) & tiles["tile_id"].isin(planned.live.tiles_used)
    giving = tiles["tile_id"].isin(set(written["sources"].explode()))
    for chosen, status, reason in (
        (of_plan & giving, TileStatus.USED, ""),
        (of_plan & ~giving, TileStatus.UNUSED, "every patch planned on it was skipped"),
    ):
        tiles.loc[chosen, ["status", "reason", "error_class"]] = [status, reason, ""]
    for tile_id, note in failed.items():
        chosen = of_plan & (tiles["tile_id"] == tile_id)
        tiles.loc[chosen, ["status", "reason", "error_class"]] = [
            TileStatus.QUARANTINED,
            note.message,
            note.error_class,
        ]
    return tiles
