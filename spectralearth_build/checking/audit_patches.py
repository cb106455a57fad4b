"""Consistency checks of patches.parquet, by itself and against the tables of tiles and locations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.noted import (
    Noted,
    hashes,
    noted,
    repeated,
    repeated_names,
    row_count,
    values_at,
)
from spectralearth_build.layout import PatchStatus
from spectralearth_build.tables import PATCHES

Flags = npt.NDArray[np.bool_]

_COLUMNS = [
    "patch_id",
    "location_id",
    "tile_id",
    "datatake",
    "acquired",
    "store_row",
    "shard",
    "status",
    "reason",
]
_OF_ROWS = (
    "is neither written nor skipped nor retired",
    "is skipped or retired without a reason",
    "is not named after its location and datatake",
    "has a row outside its shard",
    "has a tile of another datatake",
)
_OF_TABLES = ("has an unknown location", "has an unknown tile")
_TIME = "has a different time than its tile"


class PatchAudit:
    """What is remembered of patches.parquet, and what is wrong in it.

    Args:
        folder: folder of the table.
        shard_rows: number of rows per shard.
        tiles: tile_id, eligible and acquired of all products.
        locations: hashes of the names of all locations, ascending, uint64 [location].
    """

    def __init__(
        self, folder: Path, shard_rows: int, tiles: pd.DataFrame, locations: npt.NDArray[np.uint64]
    ) -> None:
        count = row_count(PATCHES, folder)
        self._folder, self._shard_rows = folder, shard_rows
        self._locations = locations
        self._tiles = pd.Index(tiles["tile_id"].unique())
        eligible = tiles[tiles["eligible"].eq(True)].drop_duplicates("tile_id")
        self._times = eligible.set_index("tile_id")["acquired"]
        self._wrong = {text: Noted(PATCHES.file, text) for text in (*_OF_ROWS, *_OF_TABLES, _TIME)}
        self._keys = np.empty(count, np.uint64)
        self._rows = np.empty(count, np.int64)
        self._live = np.empty(count, np.bool_)
        self._own = np.empty(count, np.bool_)
        """Whether a patch names its tile among its sources."""
        self._of_shards: list[pd.DataFrame] = []
        """Tiles of shards, each once a row group."""
        self._dates = np.zeros(len(locations), np.int32)
        """Number of written patches of each location in ``locations``, at the first of equal hashes."""
        self.giving: set[str] = set()
        """Tiles that give pixels to written patches."""
        first = 0
        for batch in PATCHES.batches(folder, [*_COLUMNS, "sources"]):
            self._read(batch, slice(first, first + len(batch)))
            first += len(batch)

    def damages(self) -> Iterator[Damage]:
        """Yield everything that is wrong with patches."""
        yield from repeated_names(PATCHES, self._folder, "patch_id", self._keys, self._live)
        yield from self._noted("occurs more than once in store_row", self._shown("store_row", self._again))
        for text in _OF_ROWS:
            yield from self._wrong[text].damages()
        yield from self._noted("shares its shard with another tile", self._sharing_shards())
        for text in _OF_TABLES:
            yield from self._wrong[text].damages()
        yield from self._noted("does not name its tile among its sources", self._without_own_tile())
        yield from self._wrong[_TIME].damages()

    def dates(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return how many written patches locations have, given the hashes of their names."""
        return self._dates[np.searchsorted(self._locations, keys)]

    def _read(self, batch: pa.RecordBatch, rows: slice) -> None:
        frame = batch.select(_COLUMNS).to_pandas()
        written = (frame["status"] == PatchStatus.WRITTEN).to_numpy()
        retired = (frame["status"] == PatchStatus.RETIRED).to_numpy()
        self._keys[rows], self._rows[rows], self._live[rows] = (
            hashes(frame["patch_id"]),
            frame["store_row"],
            ~retired,
        )
        self._of_shards.append(frame[["shard", "tile_id"]].dropna().drop_duplicates())
        for text, wrong in zip(_OF_ROWS, self._by_themselves(frame, written), strict=True):
            self._wrong[text].add(frame["patch_id"][np.asarray(wrong, bool)])
        self._look_up(frame, written, retired)
        sources, parents = batch["sources"].flatten(), pc.list_parent_indices(batch["sources"])
        own = pc.equal(sources, batch["tile_id"].take(parents)).fill_null(False)
        self._own[rows] = False
        self._own[rows][parents.filter(own).to_numpy()] = True
        given = sources.filter(pa.array(written[parents.to_numpy()]))
        self.giving.update(map(str, given.unique().to_pylist()))

    def _by_themselves(self, frame: pd.DataFrame, written: Flags) -> tuple[pd.Series | Flags, ...]:
        """Return which rows contradict themselves, in order of `_OF_ROWS`."""
        away = frame["status"].isin([PatchStatus.SKIPPED, PatchStatus.RETIRED]).to_numpy()
        return (
            ~written & ~away,
            away & (frame["reason"].fillna("") == ""),
            frame["patch_id"] != frame["location_id"] + "_" + frame["datatake"],
            frame["store_row"] // self._shard_rows != frame["shard"],
            frame["tile_id"].str.slice(0, -4) != frame["datatake"],
        )

    def _look_up(self, frame: pd.DataFrame, written: Flags, retired: Flags) -> None:
        """Look up locations, tiles and times of some rows."""
        keys = hashes(frame["location_id"])
        place = np.searchsorted(self._locations, keys)
        known = np.append(self._locations, np.uint64(0))[place] == keys
        known &= place < len(self._locations)
        np.add.at(self._dates, place[known & written], 1)
        times = self._times.reindex(frame["tile_id"]).array != frame["acquired"].array
        for text, wrong in (
            (_OF_TABLES[0], ~known),
            (_OF_TABLES[1], self._tiles.get_indexer(frame["tile_id"]) < 0),
            (_TIME, np.asarray(times, bool) & ~retired),
        ):
            self._wrong[text].add(frame["patch_id"][wrong])

    @property
    def _again(self) -> Flags:
        """Whether the row in the store of a patch is that of another one, too."""
        several = repeated(self._rows)
        return np.isin(self._rows, several) if len(several) else np.zeros(len(self._rows), np.bool_)

    def _sharing_shards(self) -> Iterator[object]:
        """Yield the names of patches whose shards have patches of several tiles."""
        every = np.ones(len(self._rows), np.bool_)
        tiles = pd.concat(self._of_shards).drop_duplicates()["shard"].value_counts() if len(every) else {}
        several = {shard for shard, count in tiles.items() if count > 1}
        shards = self._shown("shard", every) if several else ()
        wrong = np.fromiter((shard in several for shard in shards), np.bool_)
        return self._shown("patch_id", wrong)

    def _without_own_tile(self) -> Iterator[object]:
        """Yield the names of patches of which no row names its tile among its sources."""
        without = list(self._shown("patch_id", ~self._own))
        named = {*without}.intersection(self._shown("patch_id", self._own)) if without else set()
        return (name for name in without if name not in named)

    def _shown(self, column: str, rows: Flags) -> Iterator[object]:
        return values_at(PATCHES, self._folder, column, rows)

    def _noted(self, text: str, names: Iterator[object]) -> Iterator[Damage]:
        return noted(PATCHES.file, text, names)
