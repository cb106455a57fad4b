"""Rows of the tile table, and merging them with an earlier table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from spectralearth_build.archive.discover import Found
from spectralearth_build.archive.record import Record, columns_of
from spectralearth_build.archive.versions import status_of
from spectralearth_build.errors import DamagedError, UsageError, printable
from spectralearth_build.journal import newest, table_folder
from spectralearth_build.layout import TileStatus, mask_name
from spectralearth_build.tables import TILES

UNPLANNED = {"status": TileStatus.UNUSED, "reason": "Not planned yet."}
"""What is said of a sound product until it is planned."""
NOTHING_KNOWN: Mapping[Found, Record] = MappingProxyType({})
STATUS_COLUMNS = ["status", "reason", "error_class"]
"""Columns that later stages change for eligible tiles."""


def row_of_problem(item: Found, record: Record) -> dict[str, Any]:
    """The row of a product that cannot be used."""
    return _row(item, record.status, record.reason, record.error_class)


def rows_of_tile(
    items: list[Found], records: list[Record], known: Mapping[Found, Record] = NOTHING_KNOWN
) -> list[dict[str, Any]]:
    """The rows of all products of one tile.

    Args:
        items: the products, in order of preference.
        records: records of the first of them, which were read; only the last of these can be sound.
        known: records of an earlier scan for other products that have another quantity.
    """
    rows = [
        row_of_problem(item, record) for item, record in zip(items, records, strict=False) if not record.sound
    ]
    if len(rows) < len(records):
        chosen = items[len(rows)]
        columns = columns_of(records[-1])
        mask = mask_name(columns["product_id"])
        rows.append(_row(chosen, **UNPLANNED) | columns | {"eligible": True, "mask": mask})
        rows += [
            row_of_problem(item, known[item]) if item in known else _row(item, *status_of(item, chosen))
            for item in items[len(records) :]
        ]
    return rows


def merge(dataset: Path, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Write the tile table if it has changed, and keep the status that later stages gave to unchanged tiles.

    A published table is not replaced; the new one waits for publication, see `journal`.

    Args:
        dataset: folder of the dataset.
        frame: the table from scan.

    Returns:
        The merged table.
    """
    merged = frame.copy()
    before = [
        table
        for table in map(_table, (newest(dataset, TILES.file), dataset / TILES.file))
        if table is not None
    ]
    for table in reversed(before):  # the newest takes precedence
        known = table[table["eligible"].astype(bool)].set_index(["path", "fingerprint"])
        keys = pd.MultiIndex.from_frame(frame[["path", "fingerprint"]])
        kept = frame["eligible"].to_numpy() & keys.isin(known.index)
        merged.loc[kept, STATUS_COLUMNS] = known.loc[keys[kept], STATUS_COLUMNS].to_numpy()
    if not before or not _plain(merged).equals(_plain(before[0])):
        TILES.write(merged, table_folder(dataset))
    return merged


def _table(path: Path) -> gpd.GeoDataFrame | None:
    """A tile table; None if it is missing, damaged or in an older format."""
    try:
        return TILES.read(path.parent)
    except (UsageError, DamagedError, OSError, pa.ArrowException):
        return None


def _row(item: Found, status: str, reason: str, error_class: str = "") -> dict[str, Any]:
    """The row of a product that is not read."""
    row: dict[str, Any] = {"path": printable(item.path, limit=4096), "status": status, "reason": reason}
    row |= {"error_class": error_class, "eligible": False, "fingerprint": "", "mask": "", "geometry": None}
    name = item.name
    if name is None:
        return row | {"product_id": printable(item.path), "tile_id": None}
    return row | {
        "product_id": name.product_id,
        "tile_id": name.tile_id,
        "datatake": name.datatake,
        "tile": name.tile,
        "version": name.version,
        "processed": name.processed,
        "acquired": name.started,
    }


def _plain(frame: gpd.GeoDataFrame) -> pa.Table:
    """The table in a form in which equal rows compare equal."""
    return pa.Table.from_pandas(TILES.frame(frame).to_wkb(), preserve_index=False).replace_schema_metadata()
