"""Consistency checks within and between the tables of a dataset, which are read one row group at a time.

A row of a table is remembered as a few numbers: the hash of its name, its row in the store, its window. If these show
that something is wrong, the table is read again for the names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import shapely

from spectralearth_build.checking.audit_patches import PatchAudit
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.noted import (
    KIND,
    Noted,
    hashes,
    noted,
    repeated_names,
    row_count,
    values_at,
)
from spectralearth_build.checking.shared_ground import Windows, outlines, sharing_ground
from spectralearth_build.layout import TileStatus
from spectralearth_build.tables import LOCATIONS, PATCHES, STATUSES, TILES

OVERLAP = "LocationsOverlap"
_OF_TILES = ["product_id", "tile_id", "path", "status", "eligible", "acquired"]
_OF_LOCATIONS = ["location_id", "epsg", "lattice_col", "lattice_row", "n", "geometry"]
_SAME_PLACE = 1e-6
"""Tolerance between two computations of one outline in degrees, about 10 cm."""


def audit(folders: Mapping[str, Path], shard_rows: int) -> list[Damage]:
    """Return all contradictions within and between the tables of a published dataset.

    Args:
        folders: folders of tiles.parquet, locations.parquet and patches.parquet, by file name.
        shard_rows: number of rows per shard.

    Raises:
        UsageError: A file is missing or lacks columns.
        DamagedError: A file cannot be read.
    """
    tiles = TILES.read(folders[TILES.file], _OF_TILES)
    locations = LocationAudit(folders[LOCATIONS.file])
    found = [*_tiles(tiles), *locations.damages()]
    patches = PatchAudit(folders[PATCHES.file], shard_rows, tiles, locations.names)
    found += patches.damages()
    found += _references(tiles, patches.giving)
    wrong = patches.dates(locations.keys) != locations.dates
    found += noted(LOCATIONS.file, "has a wrong number of dates", locations.named(wrong))
    del patches
    return found + list(locations.overlaps())


class LocationAudit:
    """What is remembered of locations.parquet, and what is wrong in it by itself.

    Args:
        folder: folder of the table.
    """

    def __init__(self, folder: Path) -> None:
        count = row_count(LOCATIONS, folder)
        self._folder = folder
        self._misnamed = Noted(LOCATIONS.file, "is not named after its window")
        self._moved = Noted(LOCATIONS.file, "has an outline that differs from its window")
        self.keys = np.empty(count, np.uint64)
        """Hash of each name, uint64 [location]."""
        self.dates = np.empty(count, np.int32)
        """Number of dates of each location, int32 [location]."""
        self.windows: Windows = np.empty((count, 3), np.int32)
        """epsg, lattice_col and lattice_row of each location, int32 [location, 3]."""
        first = 0
        for batch in LOCATIONS.batches(folder, _OF_LOCATIONS):
            self._read(batch, slice(first, first + len(batch)))
            first += len(batch)
        self.names = np.sort(self.keys)
        """Hashes of the names, ascending, uint64 [location]."""

    def damages(self) -> Iterator[Damage]:
        """Yield what is wrong with single locations and with their names."""
        counted = np.ones(len(self.keys), np.bool_)
        yield from repeated_names(LOCATIONS, self._folder, "location_id", self.keys, counted)
        yield from self._misnamed.damages()
        yield from self._moved.damages()

    def named(self, wrong: npt.NDArray[np.bool_]) -> Iterator[object]:
        """Yield the names of some locations, bool [location]."""
        return values_at(LOCATIONS, self._folder, "location_id", wrong)

    def overlaps(self) -> Iterator[Damage]:
        """Yield a damage for each pair of locations that share ground."""
        pairs = sharing_ground(self.windows)
        wrong = np.zeros(len(self.keys), np.bool_)
        wrong[[place for pair in pairs for place in pair]] = True
        names = dict(zip(np.flatnonzero(wrong).tolist(), map(str, self.named(wrong)), strict=True))
        for a, b in sorted((names[i], names[j]) for i, j in pairs):
            yield Damage(OVERLAP, LOCATIONS.file, f"{a} and {b} share ground.")

    def _read(self, batch: pa.RecordBatch, rows: slice) -> None:
        frame = batch.to_pandas()
        columns = (frame[name].astype(str) for name in ("epsg", "lattice_col", "lattice_row"))
        expected = pd.Series(["_".join(parts) for parts in zip(*columns, strict=True)], index=frame.index)
        windows = frame[["epsg", "lattice_col", "lattice_row"]].to_numpy(np.int32)
        shapes = shapely.from_wkb(frame["geometry"].to_numpy(object))
        ours = shapely.normalize(outlines(windows))
        moved = ~shapely.equals_exact(shapely.normalize(shapes), ours, _SAME_PLACE)
        names = frame["location_id"]
        self._misnamed.add(names[names != expected])
        self._moved.add(names[moved])
        self.keys[rows], self.dates[rows], self.windows[rows] = hashes(names), frame["n"], windows


def _tiles(tiles: pd.DataFrame) -> Iterator[Damage]:
    for rows, column in ((tiles, "path"), (tiles[tiles["eligible"].eq(True)], "tile_id")):
        again = rows[column][rows[column].duplicated(keep=False)]
        yield from noted(TILES.file, f"occurs more than once in {column}", again)
    unknown = ~tiles["status"].isin(STATUSES)
    yield from noted(TILES.file, "has no known status", tiles["product_id"][unknown])


def _references(tiles: pd.DataFrame, giving: set[str]) -> Iterator[Damage]:
    """Check the status of tiles against the tiles that give pixels to written patches."""
    able = tiles["status"].isin([TileStatus.USED, TileStatus.QUARANTINED]) & tiles["eligible"].eq(True)
    for tile in sorted(giving - set(tiles["tile_id"][able])):
        yield Damage(KIND, TILES.file, f"{tile} gives pixels but is not marked as used.")
    idle = (tiles["status"] == TileStatus.USED) & ~tiles["tile_id"].isin(giving)
    yield from noted(TILES.file, "is marked as used but gives no pixels", tiles["product_id"][idle])
