"""The patches of a plan as a few numbers each, in order of rows.

A plan of any size fits in memory this way, and what a task needs is a slice of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.lattice import Box, window_of
from spectralearth_build.tables import PATCHES

Integers = npt.NDArray[np.integer[Any]]

COLUMNS = ["location_id", "tile_id", "sources", "datatake", "store_row", "status"]
"""Columns of patches.parquet from which everything else here follows."""


@dataclass(frozen=True)
class PlannedPatch:
    """A patch to cut."""

    patch_id: str
    """Id of the patch."""
    row: int
    """Row in the store."""
    epsg: int
    """Lattice of its window."""
    window: Box
    """Position of the window."""
    sources: tuple[str, ...]
    """Tiles that provide its pixels, in order of precedence."""


@dataclass(frozen=True)
class PlannedPatches:
    """Every patch that is not retired, ascending by store row, and the rows of the retired ones."""

    rows: Integers
    """Row of each patch in the store, int64 [patch]."""
    windows: Integers
    """epsg, lattice_col and lattice_row of each patch, int32 [patch, 3]."""
    tiles: Integers
    """Number in ``names`` of the tile whose task writes the patch, int32 [patch]."""
    datatakes: Integers
    """Number in ``names`` of the datatake, int32 [patch]."""
    sources: Integers
    """Numbers in ``names`` of the tiles that provide pixels, patch by patch, int32 [source]."""
    first_source: Integers
    """Place in ``sources`` of the first tile of each patch, then the number of sources, int32 [patch + 1]."""
    names: tuple[str, ...]
    """Ids of tiles and datatakes."""
    retired: Integers
    """Rows of the patches that are retired, ascending, int64 [retired]."""
    shard_rows: int
    """Number of rows per shard."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shards(self) -> int:
        """Number of shards, including those whose patches are all retired."""
        last = max((int(part[-1]) for part in (self.rows, self.retired) if len(part)), default=-1)
        return last // self.shard_rows + 1

    @cached_property
    def shards_by_tile(self) -> dict[str, list[int]]:
        """Shards, ascending, of each tile; tiles sorted by name."""
        first = self._first_of_shard
        pairs = np.unique(np.stack([self.rows[first] // self.shard_rows, self.tiles[first]], axis=1), axis=0)
        found: dict[str, list[int]] = {}
        for shard, tile in pairs.tolist():
            found.setdefault(self.names[tile], []).append(shard)
        return dict(sorted(found.items()))

    def tiles_of(self, chosen: npt.NDArray[np.bool_]) -> set[str]:
        """Return the tiles that provide pixels of some patches, bool [patch]."""
        numbers = self.sources[np.repeat(chosen, np.diff(self.first_source))]
        return {self.names[number] for number in np.unique(numbers)}

    @property
    def tiles_used(self) -> set[str]:
        """Tiles that write patches or provide pixels."""
        return {self.names[number] for number in np.union1d(self.tiles, self.sources)}

    @property
    def _first_of_shard(self) -> npt.NDArray[np.bool_]:
        """Whether a patch has another shard or tile than the one before, bool [patch]."""
        first, shards = np.ones(len(self), np.bool_), self.rows // self.shard_rows
        first[1:] = shards[1:] != shards[:-1]
        first[1:] |= self.tiles[1:] != self.tiles[:-1]
        return first

    def of_shard(self, shard: int) -> tuple[PlannedPatch, ...]:
        """Return the patches of a shard, in order of rows."""
        return tuple(self._patch(place) for place in range(*self._places(shard)))

    def sources_of_shard(self, shard: int) -> set[str]:
        """Return the tiles that provide pixels of a shard."""
        first, stop = (self.first_source[place] for place in self._places(shard))
        return {self.names[number] for number in self.sources[first:stop]}

    def shards_beside(self, tile_id: str) -> list[int]:
        """Return the shards of other tiles to which a tile provides pixels, ascending."""
        if tile_id not in self.names:
            return []
        number = self.names.index(tile_id)
        patches = np.searchsorted(self.first_source, np.flatnonzero(self.sources == number), "right") - 1
        others = patches[self.tiles[patches] != number]
        return [int(shard) for shard in np.unique(self.rows[others] // self.shard_rows)]

    def _places(self, shard: int) -> tuple[int, int]:
        first, stop = np.searchsorted(self.rows, [shard * self.shard_rows, (shard + 1) * self.shard_rows])
        return int(first), int(stop)

    def _patch(self, place: int) -> PlannedPatch:
        epsg, col, row = self.windows[place].tolist()
        numbers = self.sources[self.first_source[place] : self.first_source[place + 1]]
        return PlannedPatch(
            patch_id=f"{epsg}_{col}_{row}_{self.names[self.datatakes[place]]}",
            row=int(self.rows[place]),
            epsg=epsg,
            window=window_of(row, col),
            sources=tuple(self.names[number] for number in numbers),
        )


def read_patches(folder: Path, shard_rows: int) -> PlannedPatches:
    """Read the patches of a plan, one row group at a time.

    Args:
        folder: folder of patches.parquet.
        shard_rows: number of rows per shard.

    Raises:
        UsageError: There is no such file, or it lacks columns.
        DamagedError: The file cannot be read.
    """
    numbers: dict[str, int] = {}
    parts = [_part(batch, numbers) for batch in PATCHES.batches(folder, COLUMNS)]
    retired = np.sort(np.concatenate([np.empty(0, np.int64), *(part["retired"] for part in parts)]))
    joined = {name: _joined(parts, name) for name in _EMPTY}
    first_source = np.zeros(len(joined["rows"]) + 1, np.int32)
    np.cumsum(joined.pop("count"), out=first_source[1:])
    made = PlannedPatches(
        **joined, first_source=first_source, names=tuple(numbers), retired=retired, shard_rows=shard_rows
    )
    return made if (np.diff(made.rows) > 0).all() else _sorted(made)


_EMPTY: dict[str, Integers] = {
    "rows": np.empty(0, np.int64),
    "windows": np.empty((0, 3), np.int32),
    "tiles": np.empty(0, np.int32),
    "datatakes": np.empty(0, np.int32),
    "sources": np.empty(0, np.int32),
    "count": np.empty(0, np.int32),
}


def _joined(parts: list[dict[str, Integers]], name: str) -> Integers:
    """Join one column of all parts and free what was joined."""
    return np.concatenate([_EMPTY[name], *(part.pop(name) for part in parts)])


def _part(batch: pa.RecordBatch, numbers: dict[str, int]) -> dict[str, Integers]:
    """Return the columns of some rows; ``numbers`` of names grows."""
    away = pc.equal(batch["status"], PatchStatus.RETIRED).fill_null(False)
    live = batch.filter(pc.invert(away))
    lists = live["sources"].fill_null([])
    return {
        "retired": batch["store_row"].filter(away).to_numpy(),
        "rows": live["store_row"].to_numpy(),
        "windows": windows_of(live["location_id"]),
        "tiles": _numbered(live["tile_id"], numbers),
        "datatakes": _numbered(live["datatake"], numbers),
        "sources": _numbered(lists.flatten(), numbers),
        "count": pc.list_value_length(lists).to_numpy(),
    }


def location_ids(windows: Integers) -> pa.StringArray:
    """Return the ids of locations.

    Args:
        windows: epsg, lattice_col and lattice_row, int [location, 3].
    """
    parts = (pa.array(np.ascontiguousarray(column)).cast(pa.string()) for column in windows.T)
    return pc.binary_join_element_wise(*parts, "_")


def windows_of(names: pa.Array) -> Integers:
    """Return epsg, lattice_col and lattice_row from ids of locations, int32 [location, 3].

    Raises:
        DamagedError: An id has another form.
    """
    parts = pc.split_pattern(names, "_")
    if not pc.all(pc.equal(pc.list_value_length(parts), 3), min_count=0).as_py():
        raise DamagedError("A location is not named after its window.")
    numbers: Integers = parts.flatten().cast(pa.int32()).to_numpy()
    return numbers.reshape(-1, 3)


def _numbered(values: pa.Array, numbers: dict[str, int]) -> Integers:
    """Return numbers instead of names."""
    coded = values.dictionary_encode()
    own = np.array(
        [numbers.setdefault(name, len(numbers)) for name in coded.dictionary.to_pylist()], np.int32
    )
    return own[coded.indices.to_numpy()] if len(own) else np.empty(0, np.int32)


def _sorted(patches: PlannedPatches) -> PlannedPatches:
    """Return the patches ascending by row."""
    order = np.argsort(patches.rows, kind="stable")
    count = np.diff(patches.first_source)[order]
    first_source = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    shift = np.repeat(patches.first_source[:-1][order] - first_source[:-1], count)
    return PlannedPatches(
        rows=patches.rows[order],
        windows=patches.windows[order],
        tiles=patches.tiles[order],
        datatakes=patches.datatakes[order],
        sources=patches.sources[shift + np.arange(len(shift))],
        first_source=first_source,
        names=patches.names,
        retired=patches.retired,
        shard_rows=patches.shard_rows,
    )
