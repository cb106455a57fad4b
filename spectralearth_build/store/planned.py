"""Reading of a plan: its document and tables, and their parts by shard and tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.journal import newest
from spectralearth_build.layout import PLAN, PatchStatus
from spectralearth_build.overlap.lattice import Box, window_of
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

if TYPE_CHECKING:
    from spectralearth_build.store.schema import Document


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
class Planned:
    """A plan, with its document and tables."""

    document: PlanDocument
    """Content of plan.json."""
    tiles: gpd.GeoDataFrame
    """Every product found."""
    locations: gpd.GeoDataFrame
    """The chosen windows."""
    patches: pd.DataFrame
    """Every planned patch."""

    @property
    def id(self) -> str:
        """Fingerprint of the plan."""
        return self.document.id

    @property
    def first_id(self) -> str:
        """Fingerprint of the first generation, which does not change when the dataset grows."""
        return self.document.generations[0].id

    @property
    def plans(self) -> tuple[str, ...]:
        """Fingerprints of all generations, oldest first, as stored in tables."""
        return self.document.ids

    def plan_of(self, shard: int) -> str:
        """Return the fingerprint of a shard's generation, which its commit record contains."""
        return self.document.id_of(shard)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that determined the plan, by dotted name."""
        return self.document.inputs["settings"]

    @property
    def codec(self) -> str:
        """Name of the codec preset."""
        return str(self.settings["store.codec"])

    @property
    def shard_rows(self) -> int:
        """Number of rows per shard."""
        return int(self.settings["store.shard_rows"])

    @property
    def quantity(self) -> str:
        """Physical quantity of the values, from the setting scan.correction, which plans of earlier versions lack."""
        return str(self.settings.get("scan.correction", "land"))

    @property
    def reflectance(self) -> Document:
        """Metadata of the array of the pixels."""
        from spectralearth_build.store.schema import reflectance_document  # it imports zarr

        return reflectance_document(
            shards=self.shards, shard_rows=self.shard_rows, codec=self.codec, quantity=self.quantity
        )

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
        """Patches that are not retired."""
        return self.patches[self.patches["status"] != PatchStatus.RETIRED]

    @cached_property
    def retired_rows(self) -> frozenset[int]:
        """Rows of the store that were cut again elsewhere."""
        return frozenset(
            self.patches.loc[self.patches["status"] == PatchStatus.RETIRED, "store_row"].tolist()
        )

    @cached_property
    def shards_by_tile(self) -> dict[str, list[int]]:
        """Shards, ascending, of each tile with patches that are not retired; tiles sorted by name."""
        pairs = self.live[["tile_id", "shard"]].drop_duplicates().sort_values(["tile_id", "shard"])
        return {str(tile): [int(s) for s in group] for tile, group in pairs.groupby("tile_id")["shard"]}

    def paths(self, shards: Mapping[str, list[int]]) -> set[str]:
        """Return the paths of products that provide pixels of the given shards, by tile."""
        return set().union(*(self.products(tile_id, some) for tile_id, some in shards.items()))

    def products(self, tile_id: str, shards: list[int]) -> set[str]:
        """Return the paths of products that provide pixels of the given shards of a tile."""
        names = {n for shard in shards for n in chain(*self.live["sources"].iloc[self._rows_by_shard[shard]])}
        return {str(self.eligible.at[name, "path"]) for name in {tile_id, *names}}

    @cached_property
    def eligible(self) -> pd.DataFrame:
        """Tiles that planning could use, by tile_id, with one product each."""
        return self.tiles[self.tiles["eligible"].eq(True)].set_index("tile_id", drop=False)

    @cached_property
    def _rows_by_shard(self) -> dict[int, Any]:
        return dict(self.live.groupby("shard").indices)

    @cached_property
    def _windows(self) -> pd.DataFrame:
        return self.locations.set_index("location_id")[["epsg", "lattice_col", "lattice_row"]]

    def patches_of(self, shard: int) -> tuple[PlannedPatch, ...]:
        """Return the planned patches of a shard that are not retired, in order of rows."""
        rows = self.live.iloc[np.sort(self._rows_by_shard[shard])].sort_values("store_row")
        return tuple(
            self._patch(*values)
            for values in zip(
                rows["patch_id"], rows["location_id"], rows["store_row"], rows["sources"], strict=True
            )
        )

    def _patch(self, patch_id: str, location_id: str, row: int, sources: list[str]) -> PlannedPatch:
        epsg, col, lattice_row = (int(value) for value in self._windows.loc[location_id])
        return PlannedPatch(patch_id, int(row), epsg, window_of(lattice_row, col), tuple(sources))


def load_plan(dataset: Path, waiting: bool = False) -> Planned:
    """Read the plan of a dataset.

    Args:
        dataset: folder of the dataset.
        waiting: whether to read the plan that cut works on, which may wait in work/next, instead of the published one.

    Raises:
        UsageError: There is no plan, or it is only a study (tiles without pixels).
    """
    find = partial(newest, dataset) if waiting else dataset.joinpath
    try:
        document = PlanDocument.read(find(PLAN))
    except (OSError, DamagedError) as error:
        raise UsageError(
            f"The dataset has no readable {PLAN}.", dataset, "Run `build ARCHIVE DATASET` first."
        ) from error
    tables = [table.read(find(table.file).parent) for table in (TILES, LOCATIONS, PATCHES)]
    return Planned(document, *tables)
