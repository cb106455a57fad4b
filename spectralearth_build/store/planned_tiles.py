"""The tiles of a plan, with what tasks need of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spectralearth_build.layout import exact_name
from spectralearth_build.overlap.lattice import Box, box_of
from spectralearth_build.tables import AT_CUT, TILES

_PLACE = ["lattice_col", "lattice_row", "height", "width"]
COLUMNS = [
    "tile_id",
    "eligible",
    "path",
    "mask",
    "content",
    "version",
    "epsg",
    "accepted",
    *_PLACE,
    "band_index",
]
"""Columns of tiles.parquet that are read."""


@dataclass(frozen=True)
class SourceTile:
    """A tile that provides pixels."""

    tile_id: str
    """Id of the tile."""
    path: str
    """Path of the product below the archive."""
    mask: str
    """Path of the mask below the dataset."""
    epsg: int
    """EPSG code of the raster's lattice."""
    box: Box
    """Area that the raster covers."""
    band_index: tuple[int, ...]
    """0-based raster band of each of the 202 kept bands."""
    exact: str = ""
    """Path below the dataset for the mask that cut corrects if need be; empty: scan has read every pixel, or cut shall
    not check them."""
    hole_is_data: bool = False
    """Whether `scan.accept` says that holes of the tile count as data."""
    content: str = ""
    """Identity of the product that scan read, see `archive.identity`; empty: unknown, or not to be compared."""


@dataclass(frozen=True)
class PlannedTiles(Mapping[str, SourceTile]):
    """The tiles that planning could use, by tile_id, with one product each."""

    table: pa.Table
    """The columns, each in one piece, without the bands."""
    bands: tuple[tuple[int, ...], ...]
    """The different lists of bands."""
    places: Mapping[str, tuple[int, int]] = field(repr=False)
    """Place in ``table`` and in ``bands`` of each tile."""

    def __getitem__(self, tile_id: str) -> SourceTile:
        place, bands = self.places[tile_id]
        row: dict[str, Any] = {name: self.table[name][place].as_py() for name in self.table.column_names}
        left_to_cut = AT_CUT in json.loads(row["content"] or "{}")
        return SourceTile(
            tile_id=tile_id,
            path=str(row["path"]),
            mask=str(row["mask"]),
            epsg=row["epsg"],
            box=box_of(row),
            band_index=self.bands[bands],
            exact=exact_name(str(row["mask"]), _digest(row)) if left_to_cut else "",
            hole_is_data="hole" in (row["accepted"] or "").split(),
            content=row["content"] or "",
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def path(self, tile_id: str) -> str:
        """Return the path of a tile's product below the archive."""
        return str(self.table["path"][self.places[tile_id][0]].as_py())

    def version(self, tile_id: str) -> str:
        """Return the processor version of a tile's product."""
        return str(self.table["version"][self.places[tile_id][0]].as_py())

    @property
    def paths(self) -> list[str]:
        """Paths of all products below the archive."""
        paths: list[str] = self.table["path"].to_pylist()
        return paths


def _digest(row: Mapping[str, Any]) -> str:
    """A name for the content that scan read and the checks that it waived."""
    told = f"{row['content']} {row['accepted']}".encode()
    return hashlib.blake2b(told, digest_size=8).hexdigest()


def read_tiles(folder: Path) -> PlannedTiles:
    """Read the tiles of a plan.

    Args:
        folder: folder of tiles.parquet.

    Raises:
        UsageError: There is no such file, or it lacks columns.
        DamagedError: The file cannot be read.
    """
    bands: dict[bytes, int] = {}
    places: dict[str, tuple[int, int]] = {}
    parts = [TILES.schema.empty_table().select(COLUMNS[2:-1])]
    place = count()
    for batch in TILES.batches(folder, COLUMNS):
        able = batch.filter(batch["eligible"].fill_null(False))
        lists = able["band_index"]
        index, ends = lists.values.to_numpy(), lists.offsets.to_numpy()
        for name, first, stop in zip(able["tile_id"].to_pylist(), ends[:-1], ends[1:], strict=True):
            places[name] = next(place), bands.setdefault(index[first:stop].tobytes(), len(bands))
        parts.append(pa.Table.from_batches([able]).select(COLUMNS[2:-1]))
    different = (tuple(np.frombuffer(each, np.int32).tolist()) for each in bands)
    return PlannedTiles(pa.concat_tables(parts).combine_chunks(), tuple(different), places)
