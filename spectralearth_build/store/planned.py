"""Reading of a plan: its document and tables, and their parts by shard and tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.journal import newest
from spectralearth_build.layout import PLAN
from spectralearth_build.plan_document import Inputs, PlanDocument
from spectralearth_build.store.planned_patches import PlannedPatches, read_patches
from spectralearth_build.store.planned_tiles import PlannedTiles, read_tiles
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

if TYPE_CHECKING:
    from spectralearth_build.store.schema import Document


@dataclass(frozen=True)
class Planned:
    """A plan, with its document and tables."""

    document: PlanDocument
    """Content of plan.json."""
    folders: Mapping[str, Path]
    """Folder of each table, by file name."""
    live: PlannedPatches
    """Patches that are not retired."""

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

    def without_products(self) -> Planned:
        """Return the same plan without the names of the products from which it was made."""
        grown = (replace(each, new_tiles=(), replaced_tiles=()) for each in self.document.generations)
        inputs = Inputs(settings=self.document.inputs["settings"], tiles={})
        return replace(self, document=replace(self.document, inputs=inputs, generations=tuple(grown)))

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
        return self.live.shards

    @cached_property
    def able(self) -> PlannedTiles:
        """Tiles that planning could use."""
        return read_tiles(self.folders[TILES.file])

    @cached_property
    def tiles(self) -> gpd.GeoDataFrame:
        """Every product found; the whole table, as are the next three."""
        return TILES.read(self.folders[TILES.file])

    @cached_property
    def locations(self) -> gpd.GeoDataFrame:
        """The chosen windows."""
        return LOCATIONS.read(self.folders[LOCATIONS.file])

    @cached_property
    def patches(self) -> pd.DataFrame:
        """Every planned patch."""
        return PATCHES.read(self.folders[PATCHES.file])

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by file name."""
        return {TILES.file: self.tiles, LOCATIONS.file: self.locations, PATCHES.file: self.patches}

    def require_readable(self) -> None:
        """Read all rows, so that a damaged table is refused before anything changes.

        Raises:
            UsageError: A table is missing or lacks columns.
            DamagedError: A table cannot be read.
        """
        for table in (TILES, LOCATIONS, PATCHES):
            for _ in table.batches(self.folders[table.file]):
                pass

    @cached_property
    def retired_rows(self) -> frozenset[int]:
        """Rows of the store that were cut again elsewhere."""
        return frozenset(self.live.retired.tolist())

    @property
    def shards_by_tile(self) -> dict[str, list[int]]:
        """Shards, ascending, of each tile with patches that are not retired; tiles sorted by name."""
        return self.live.shards_by_tile

    def paths(self, shards: Mapping[str, list[int]]) -> set[str]:
        """Return the paths of products that provide pixels of the given shards, by tile."""
        return set().union(*(self.products(tile_id, some) for tile_id, some in shards.items()))

    def products(self, tile_id: str, shards: list[int]) -> set[str]:
        """Return the paths of products that provide pixels of the given shards of a tile."""
        names = set().union(*map(self.live.sources_of_shard, shards))
        return {self.able.path(name) for name in {tile_id, *names}}


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
    folders = {table.file: find(table.file).parent for table in (TILES, LOCATIONS, PATCHES)}
    for table in (TILES, LOCATIONS):
        next(table.batches(folders[table.file]), None)  # there, and of this kind
    shard_rows = int(document.inputs["settings"]["store.shard_rows"])
    return Planned(
        document,
        folders,
        live=read_patches(folders[PATCHES.file], shard_rows),
    )
