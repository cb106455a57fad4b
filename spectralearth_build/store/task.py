"""From the tables of a plan to the tasks of cut: one per tile, made when its turn comes."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from spectralearth_build.archive.presence import Witness
from spectralearth_build.archive.shelf import Shelf
from spectralearth_build.errors import UsageError
from spectralearth_build.journal import newest
from spectralearth_build.overlap.lattice import Box, window
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

PLAN = "plan.json"


@dataclass(frozen=True)
class Source:
    """A tile that gives pixels."""

    tile_id: str
    """Its name."""
    path: str
    """Its product, below the archive."""
    mask: str
    """Its mask, below the dataset."""
    epsg: int
    """Lattice of its raster."""
    box: Box
    """What the raster covers."""
    band_index: tuple[int, ...]
    """0-based band of the raster for each of the 202 kept bands."""
    content: str = ""
    """What identifies what scan read, see `archive.identity`; empty: it is not known, or need not be compared."""


@dataclass(frozen=True)
class PlannedPatch:
    """A patch to be cut."""

    patch_id: str
    """Its name."""
    row: int
    """Its row in the store."""
    epsg: int
    """Lattice of its window."""
    window: Box
    """Where it lies."""
    sources: tuple[str, ...]
    """Tiles that give its pixels, in order of precedence."""


@dataclass(frozen=True)
class TileTask:
    """All there is to know to cut the patches of one tile."""

    plans: Mapping[int, str]
    """Id of the generation of each shard."""
    codec: str
    """Name of the codec preset."""
    shard_rows: int
    """Rows of a shard."""
    tile_id: str
    """The tile that gives most pixels of each patch."""
    sources: Mapping[str, Source]
    """This tile and the neighbours its patches reach into, by name."""
    shards: Mapping[int, tuple[PlannedPatch, ...]]
    """Patches by shard, in order of their rows."""
    threads: int = 1
    """Threads that decode and encode."""
    shelf: Shelf | None = None
    """Unpacked archives that the tasks of a run share."""
    witness: Witness = field(default_factory=Witness)
    """What must be there before a patch is given up."""


@dataclass(frozen=True)
class Planned:
    """A plan read back: its document and tables."""

    document: Mapping[str, Any]
    """plan.json."""
    tiles: gpd.GeoDataFrame
    """Every product found."""
    locations: gpd.GeoDataFrame
    """The chosen windows."""
    patches: pd.DataFrame
    """Every planned patch."""

    @property
    def id(self) -> str:
        """Fingerprint of the plan."""
        return str(self.document["id"])

    @property
    def first_id(self) -> str:
        """Fingerprint of the first generation, which stays when the dataset grows."""
        return str(self.document["generations"][0]["id"])

    @property
    def plans(self) -> tuple[str, ...]:
        """Fingerprints of all generations, oldest first; tables bear them."""
        return tuple(str(generation["id"]) for generation in self.document["generations"])

    def plan_of(self, shard: int) -> str:
        """Fingerprint of the generation that a shard came with; its commit record bears it."""
        generations = self.document["generations"]
        place = bisect([generation["first_shard"] for generation in generations], shard) - 1
        return str(generations[max(0, place)]["id"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that shaped the plan, by dotted name."""
        found: Mapping[str, Any] = self.document["inputs"]["settings"]
        return found

    @property
    def codec(self) -> str:
        """Name of the codec preset."""
        return str(self.settings["store.codec"])

    @property
    def shard_rows(self) -> int:
        """Rows of a shard."""
        return int(self.settings["store.shard_rows"])

    @property
    def quantity(self) -> str:
        """What the values are, by the setting scan.correction, which plans of earlier versions lack."""
        return str(self.settings.get("scan.correction", "land"))

    @property
    def layout(self) -> tuple[int, int, str, str]:
        """What the document of the pixels needs: shards, rows of a shard, codec and quantity."""
        return self.shards, self.shard_rows, self.codec, self.quantity

    @property
    def shards(self) -> int:
        """Number of shards."""
        return int(self.patches["shard"].max()) + 1 if len(self.patches) else 0

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by file name."""
        return {TILES.file: self.tiles, LOCATIONS.file: self.locations, PATCHES.file: self.patches}

    @cached_property
    def live(self) -> pd.DataFrame:
        """The patches that are not retired."""
        return self.patches[self.patches["status"] != "retired"]

    @cached_property
    def retired_rows(self) -> frozenset[int]:
        """Rows of the store that were cut again elsewhere."""
        return frozenset(self.patches.loc[self.patches["status"] == "retired", "store_row"].tolist())

    @cached_property
    def shards_by_tile(self) -> dict[str, list[int]]:
        """Shards of each tile that has patches (retired ones apart), ascending; tiles in order of name."""
        pairs = self.live[["tile_id", "shard"]].drop_duplicates().sort_values(["tile_id", "shard"])
        return {str(tile): [int(s) for s in group] for tile, group in pairs.groupby("tile_id")["shard"]}

    def paths(self, shards: Mapping[str, list[int]]) -> set[str]:
        """Paths of the products that give pixels to some shards of some tiles."""
        return set().union(*(self.products(tile_id, some) for tile_id, some in shards.items()))

    def products(self, tile_id: str, shards: list[int]) -> set[str]:
        """Paths of the products that give pixels to some shards of a tile."""
        names = {n for shard in shards for n in chain(*self.live["sources"].iloc[self._rows_by_shard[shard]])}
        return {str(self.eligible.at[name, "path"]) for name in {tile_id, *names}}

    @cached_property
    def eligible(self) -> pd.DataFrame:
        """The tiles that planning could use, by tile_id; one product each."""
        return self.tiles[self.tiles["eligible"].eq(True)].set_index("tile_id", drop=False)

    @cached_property
    def _rows_by_shard(self) -> dict[int, Any]:
        return dict(self.live.groupby("shard").indices)

    @cached_property
    def _windows(self) -> pd.DataFrame:
        return self.locations.set_index("location_id")[["epsg", "lattice_col", "lattice_row"]]

    def task(self, tile_id: str, shards: list[int]) -> TileTask:
        """The task that cuts some shards of a tile."""
        patches = {shard: self.patches_of(shard) for shard in shards}
        needed = {name for group in patches.values() for patch in group for name in patch.sources}
        sources = {name: self._source(name) for name in sorted(needed)}
        plans = {shard: self.plan_of(shard) for shard in shards}
        return TileTask(plans, self.codec, self.shard_rows, tile_id, sources, patches)

    def patches_of(self, shard: int) -> tuple[PlannedPatch, ...]:
        """The planned patches of a shard that are not retired, in order of their rows."""
        rows = self.live.iloc[np.sort(self._rows_by_shard[shard])].sort_values("store_row")
        return tuple(
            self._patch(*values)
            for values in zip(
                rows["patch_id"], rows["location_id"], rows["store_row"], rows["sources"], strict=True
            )
        )

    def _patch(self, patch_id: str, location_id: str, row: int, sources: list[str]) -> PlannedPatch:
        epsg, col, lattice_row = (int(value) for value in self._windows.loc[location_id])
        return PlannedPatch(patch_id, int(row), epsg, window(-lattice_row, col), tuple(sources))

    def _source(self, tile_id: str) -> Source:
        tile = self.eligible.loc[tile_id]
        box = Box(
            -int(tile["lattice_row"]), int(tile["lattice_col"]), int(tile["height"]), int(tile["width"])
        )
        bands = tuple(int(band) for band in tile["band_index"])
        content = tile["content"] if isinstance(tile["content"], str) else ""  # else a null
        where = int(tile["epsg"]), box
        return Source(tile_id, str(tile["path"]), str(tile["mask"]), *where, bands, content)


@dataclass(frozen=True)
class Tasks(Mapping[str, tuple[Path, Path, TileTask]]):
    """Arguments of `cut_tile` (and of its twin in verify) by tile; each made when it is asked for."""

    archive: Path
    """Folder of the products."""
    dataset: Path
    """The dataset."""
    planned: Planned
    """The plan."""
    shards: Mapping[str, list[int]]
    """Shards to work on, by tile."""
    threads: int = 1
    """Threads of a task."""
    shelf: Shelf | None = None
    """Unpacked archives that tasks share."""
    witness: Witness = field(default_factory=Witness)
    """What must be there before a patch is given up."""

    def __getitem__(self, tile_id: str) -> tuple[Path, Path, TileTask]:
        task = self.planned.task(tile_id, self.shards[tile_id])
        shelf = self.shelf.only([source.path for source in task.sources.values()]) if self.shelf else None
        return (
            self.archive,
            self.dataset,
            replace(task, threads=self.threads, shelf=shelf, witness=self.witness),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.shards)

    def __len__(self) -> int:
        return len(self.shards)


def load_plan(dataset: Path, waiting: bool = False) -> Planned:
    """Read the plan of a dataset.

    Args:
        dataset: the dataset.
        waiting: the one that cut is to work on, which may wait in work/next; otherwise that of the dataset.

    Raises:
        UsageError: there is none, or it is only a study (tiles without pixels).
    """
    find = partial(newest, dataset) if waiting else dataset.joinpath
    try:
        document = json.loads(find(PLAN).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"There is no readable {PLAN}.", dataset, "Run `plan`, or `build`, first."
        ) from error
    tables = [table.read(find(table.file).parent) for table in (TILES, LOCATIONS, PATCHES)]
    return Planned(document, *tables)
