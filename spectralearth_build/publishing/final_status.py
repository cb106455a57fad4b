"""The final status of patches, locations and tiles, from the commit records, one row group at a time."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.columns import Table
from spectralearth_build.errors import UsageError
from spectralearth_build.geoparquet import NOWHERE
from spectralearth_build.layout import PatchStatus, TileStatus
from spectralearth_build.publishing.committed import UNKNOWN, Committed
from spectralearth_build.store.failed_tiles import FailedTile
from spectralearth_build.store.planned import Planned
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

FINAL = (TILES, LOCATIONS, PATCHES)
"""Tables that get their final status at publication."""
_NO_PATCH = "every patch planned on it was skipped"
_NEEDED = {
    TILES.file: ["tile_id", "eligible", "status", "reason", "error_class"],
    LOCATIONS.file: ["epsg", "lattice_col", "lattice_row", "n"],
    PATCHES.file: ["patch_id", "tile_id", "store_row", "shard", "status", "reason", "checksum", "correction",
                   "correction_assumed"],
}  # fmt: skip
"""Columns that decide about the final status, or have it."""
_AT_ONCE = 1 << 17
"""Patches that are looked up, or whose windows are numbered, at a time."""
_MIDDLE = 1 << 23
"""More than any column or row of a lattice."""
Flags = npt.NDArray[np.bool_]


def given_up(
    planned: Planned, commits: Container[int], notes: Mapping[str, FailedTile]
) -> dict[str, FailedTile]:
    """Return the failure notes that still count: those of tiles with uncommitted shards.

    Args:
        planned: the plan.
        commits: the shards that have a valid commit record.
        notes: the notes on tiles that failed, by tile.

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


@dataclass(frozen=True)
class FinalStatus:
    """The tables of a plan with their final status."""

    planned: Planned
    """The plan."""
    committed: Committed
    """What was cut."""
    failed: Mapping[str, FailedTile]
    """Tiles that were given up."""

    def write(self, table: Table, folder: Path) -> Path:
        """Write one of `FINAL` into a folder."""
        rows = (pa.Table.from_batches([batch]) for batch in self._rows(table))
        extent = table.extent(self.planned.folders[table.file]) if table.spatial else NOWHERE
        return table.write_parts(rows, folder, self.planned.plans, extent)

    def is_there(self, table: Table) -> bool:
        """Return whether the plan's own file has the final status already, so that it can stay."""
        folder = self.planned.folders[table.file]
        return table.plans_of(folder) == self.planned.plans and all(
            _filled(values).equals(_filled(batch[name]))
            for batch in table.batches(folder, _NEEDED[table.file])
            for name, values in self._changes(table, batch).items()
        )

    def _rows(self, table: Table) -> Iterator[pa.RecordBatch]:
        for batch in table.batches(self.planned.folders[table.file]):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | self._changes(table, batch)
            yield pa.record_batch(list(columns.values()), schema=batch.schema)

    def _changes(self, table: Table, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return the columns that have a final status, for some rows."""
        changes = {TILES.file: self._tiles, LOCATIONS.file: self._locations, PATCHES.file: self._patches}
        return changes[table.file](batch)

    def _patches(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        there, checksums = self.committed.find(batch["store_row"].to_numpy())
        live = pc.not_equal(batch["status"], PatchStatus.RETIRED)
        written, skipped = pc.and_(live, there), pc.and_not(live, there)
        known = pa.array(checksums, mask=checksums == UNKNOWN)
        reasons = pa.array(self._reasons(batch.filter(skipped)), pa.string())
        status = pc.if_else(skipped, PatchStatus.SKIPPED, batch["status"])
        return {
            "status": pc.if_else(written, PatchStatus.WRITTEN, status),
            "reason": pc.replace_with_mask(pc.if_else(written, "", batch["reason"]), skipped, reasons),
            "checksum": pc.if_else(live, known, batch["checksum"]),
            **self._corrections(batch, live),
        }

    def _reasons(self, skipped: pa.RecordBatch) -> list[str]:
        """Return why patches were skipped."""
        names = zip(*(skipped[name].to_pylist() for name in ("shard", "patch_id", "tile_id")), strict=True)
        return [
            self.committed.skipped.get((shard, patch_id))
            or f"{tile_id} failed: {self.failed[tile_id].error_class}"
            for shard, patch_id, tile_id in names
        ]

    def _corrections(self, batch: pa.RecordBatch, live: pa.BooleanArray) -> dict[str, pa.Array]:
        """Complete patches planned by versions that did not record this, with values from the tile table."""
        unknown = pc.and_(pc.is_null(batch["correction"]), live)
        if not pc.any(unknown, min_count=0).as_py():
            return {}
        tiles = self._corrected
        place = pc.index_in(batch["tile_id"], tiles["tile_id"].combine_chunks())
        return {
            name: pc.if_else(unknown, tiles[name].combine_chunks().take(place), batch[name])
            for name in ("correction", "correction_assumed")
        }

    @cached_property
    def _corrected(self) -> pa.Table:
        folder = self.planned.folders[TILES.file]
        names = ["tile_id", "eligible", "correction", "correction_assumed"]
        tiles = pa.Table.from_batches(
            TILES.batches(folder, names), pa.schema([TILES.schema.field(n) for n in names])
        )
        return tiles.filter(tiles["eligible"])

    def _locations(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        windows = [batch[name].to_numpy() for name in ("epsg", "lattice_col", "lattice_row")]
        keys, dates = self._dates
        asked = _keys(*windows)
        place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        count = np.where(keys[place] == asked, dates[place], 0) if len(keys) else np.zeros(len(asked))
        return {"n": pa.array(count.astype(np.int32))}

    @cached_property
    def _written(self) -> Flags:
        """Whether the patches of the plan were written, bool [patch]."""
        rows = self.planned.live.rows
        written = np.empty(len(rows), np.bool_)
        for first in range(0, len(rows), _AT_ONCE):
            written[first : first + _AT_ONCE] = self.committed.find(rows[first : first + _AT_ONCE])[0]
        return written

    @cached_property
    def _dates(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the windows with written patches, as ascending numbers, and how many each has."""
        places = np.flatnonzero(self._written)
        windows, keys = self.planned.live.windows, np.empty(len(places), np.int64)
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            keys[first : first + _AT_ONCE] = _keys(*windows[some].T)
        keys.sort()
        firsts = np.flatnonzero(np.append(True, keys[1:] > keys[:-1])[: len(keys)])
        return keys[firsts], np.diff(firsts, append=len(keys))

    def _tiles(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        planned, giving, names = *self._sides, batch["tile_id"]
        of_plan = pc.and_(batch["eligible"].fill_null(False), pc.is_in(names, planned))
        used = pc.and_(of_plan, pc.is_in(names, giving))
        unused = pc.and_not(of_plan, used)
        failed = pc.and_(of_plan, pc.is_in(names, pa.array(list(self.failed), pa.string())))
        notes = [self.failed[name] for name in names.filter(failed).to_pylist()]
        told = {
            "status": (TileStatus.USED, TileStatus.UNUSED, [str(TileStatus.QUARANTINED) for _ in notes]),
            "reason": ("", _NO_PATCH, [note.message for note in notes]),
            "error_class": ("", "", [note.error_class for note in notes]),
        }
        return {
            name: pc.replace_with_mask(
                pc.if_else(used, good, pc.if_else(unused, idle, batch[name])),
                failed,
                pa.array(bad, pa.string()),
            )
            for name, (good, idle, bad) in told.items()
        }

    @cached_property
    def _sides(self) -> tuple[pa.Array, pa.Array]:
        """Return the tiles of the plan, and those that give pixels to written patches."""
        live = self.planned.live
        names = (live.tiles_used, live.tiles_of(self._written))
        of_plan, giving = (pa.array(sorted(each), pa.string()) for each in names)
        return of_plan, giving


def _keys(
    epsg: npt.NDArray[np.int32], col: npt.NDArray[np.int32], row: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Return one number for each window, the same for the same window only."""
    return (
        (epsg.astype(np.int64) << 48)
        + ((col.astype(np.int64) + _MIDDLE) << 24)
        + row.astype(np.int64)
        + _MIDDLE
    )


def _filled(values: pa.Array) -> pa.Array:
    """Return text without nulls, which mean the same as no text."""
    return values.fill_null("") if pa.types.is_string(values.type) else values
