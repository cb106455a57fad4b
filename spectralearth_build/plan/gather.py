"""Join the rows of all components, in order and with store rows, without holding them all.

Rows go to files on disk as they come (`spool`), and are read in the order of the tables when all have come. What is
held of all rows are counts and extents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.geoparquet import NOWHERE, extent_of_wkb
from spectralearth_build.layout import PatchStatus
from spectralearth_build.plan.assemble import PLANNED_PATCHES, Part, replaced
from spectralearth_build.plan.rows import Ints, ShardRows
from spectralearth_build.plan.spool import Spool
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

COMPONENTS, TILES = 1024, 2048
"""Components and tiles of a bucket. The locations of a lattice are a bucket: since windows do not overlap, they are at
most about 400,000."""


@dataclass(frozen=True)
class Numbering:
    """What determines the store rows of new patches."""

    shard_rows: int
    """Rows in a shard."""
    first_shard: int = 0
    """Number of shards so far."""
    generation: int = 0
    """Number of generations so far."""


class Gathered:
    """The rows of the components that were planned: unordered as they come, then ordered.

    The order of the result, and so every byte of the tables, does not depend on the order in which parts come.
    """

    def __init__(self, folder: Path, tiles: gpd.GeoDataFrame, numbering: Numbering) -> None:
        """Make an empty collection.

        Args:
            folder: an empty folder for temporary files.
            tiles: the tiles that may be used, sorted by tile_id.
            numbering: what determines store rows.
        """
        self.tiles, self.numbering = tiles, numbering
        self._number_of = {name: k for k, name in enumerate(tiles["tile_id"])}
        self.per_tile = np.zeros(len(tiles), np.int64)
        """Number of new patches of each tile."""
        self.tuples_extent = self.locations_extent = NOWHERE
        self.tuples_count = self.locations_count = 0
        self.grown = dict[str, int]()
        """Number of new patches of each existing location that gains some, by location_id."""
        self.inbox = folder / "parts"
        """Where tasks leave their rows."""
        self.inbox.mkdir()
        self._overlaps = Spool(folder / "overlaps", OVERLAPS.schema)
        self._tuples = Spool(folder / "tuples", TUPLES.schema)
        self._locations = Spool(folder / "locations", LOCATIONS.schema)
        self._patches = Spool(folder / "patches", PLANNED_PATCHES)

    @property
    def patches_count(self) -> int:
        """Number of new patches."""
        return int(self.per_tile.sum())

    @property
    def shards(self) -> int:
        """Number of new shards."""
        return self._rows.shards

    def keep_overlaps(self, rows: pa.Table) -> None:
        """Add existing rows of components that were not planned."""
        self._overlaps.add(rows, rows["component"].to_numpy() // COMPONENTS)

    def keep_tuples(self, rows: pa.Table) -> None:
        """Add existing rows of components that were not planned."""
        self._add_tuples(rows)
        self.tuples_extent |= extent_of_wkb(rows["geometry"])

    def add(self, part: Part) -> None:
        """Add the rows of a task."""
        rows = part.taken()
        self.keep_overlaps(rows.overlaps)
        self._add_tuples(rows.tuples)
        self._locations.add(rows.locations, rows.locations["epsg"].to_numpy())
        tiles = self._tiles_of(rows.patches)
        self._patches.add(rows.patches, tiles // TILES)
        self.per_tile += np.bincount(tiles, minlength=len(self.per_tile))
        self.locations_count += len(rows.locations)
        self.tuples_extent |= part.tuples
        self.locations_extent |= part.locations
        self.grown.update(part.grown)

    def overlaps(self) -> Iterator[pa.Table]:
        """The rows of overlaps.parquet."""
        return _by_component(self._overlaps)

    def tuples(self) -> Iterator[pa.Table]:
        """The rows of tuples.parquet."""
        return _by_component(self._tuples)

    def locations(self) -> Iterator[pa.Table]:
        """The new locations, by location_id, which begins with the number of the lattice."""
        for lattice in self._locations.buckets():
            rows = self._locations.read(lattice)
            yield rows.take(pc.sort_indices(rows["location_id"]))

    def named_patches(self) -> Iterator[pa.Table]:
        """The new patches as `patches` yields them, with those columns that name them and their rows only."""
        for rows, tiles in self._ordered_patches(["patch_id", "location_id", "sources"]):
            yield rows.append_column("store_row", pa.array(self._rows.of(tiles)[1]))

    def patches(self) -> Iterator[pa.Table]:
        """The new patches, by tile and location."""
        for rows, tiles in self._ordered_patches(PLANNED_PATCHES.names):
            shard, store_row = self._rows.of(tiles)
            of_tile = {name: self._column(name).take(pa.array(tiles)) for name in _OF_TILE}
            later = {"generation": self.numbering.generation, "status": PatchStatus.PLANNED, "reason": ""}
            whole = PATCHES.arrow(dict(zip(rows.column_names, rows.columns, strict=True)))
            yield replaced(whole, {"shard": shard, "store_row": store_row, **of_tile, **later})

    @property
    def _rows(self) -> ShardRows:
        return ShardRows(self.per_tile, self.numbering.shard_rows, self.numbering.first_shard)

    def _add_tuples(self, rows: pa.Table) -> None:
        self._tuples.add(rows, rows["component"].to_numpy() // COMPONENTS)
        self.tuples_count += len(rows)

    def _tiles_of(self, patches: pa.Table) -> Ints:
        """The tile of each patch, as row number of the tiles."""
        coded = patches["tile_id"].combine_chunks().dictionary_encode()
        numbers = np.array([self._number_of[name] for name in coded.dictionary.to_pylist()], np.int64)
        return np.asarray(numbers[coded.indices.to_numpy()], np.int64)

    def _ordered_patches(self, columns: Sequence[str]) -> Iterator[tuple[pa.Table, Ints]]:
        for bucket in self._patches.buckets():
            rows = self._patches.read(bucket)
            tiles = self._tiles_of(rows)
            order = np.argsort(tiles, kind="stable")
            yield rows.select(columns).take(order), tiles[order]

    def _column(self, name: str) -> pa.Array:
        return pa.array(self.tiles[name], PATCHES.schema.field(name).type, from_pandas=True)


_OF_TILE = ("acquired", "correction", "correction_assumed")
"""Columns of a patch that are those of its tile."""


def _by_component(spool: Spool) -> Iterator[pa.Table]:
    for bucket in spool.buckets():
        rows = spool.read(bucket)
        yield rows.take(np.argsort(rows["component"].to_numpy(), kind="stable"))
