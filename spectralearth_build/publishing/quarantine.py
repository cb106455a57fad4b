"""Quarantined products, grouped by cause."""

from __future__ import annotations

import inspect

import pandas as pd

from spectralearth_build import errors
from spectralearth_build.layout import TileStatus
from spectralearth_build.tables import QUARANTINE

GROUPED = ("product_id", "tile_id", "path", "status", "reason", "error_class", "eligible")
"""Columns of tiles.parquet that `quarantine` needs."""


def quarantine(tiles: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of quarantine.parquet: the most frequent cause first, then by name.

    Args:
        tiles: the tile table with its final status.
    """
    rows = tiles[tiles["status"] == TileStatus.QUARANTINED]
    often = rows["error_class"].map(rows["error_class"].value_counts())
    kinds = [_kind(name) for name in rows["error_class"]]
    frame = pd.DataFrame(
        {
            "error_class": rows["error_class"].array,
            "cause": [_meaning(kind) for kind in kinds],
            "stage": ["cut" if eligible else "scan" for eligible in rows["eligible"]],
            "tile_id": rows["tile_id"].array,
            "product_id": rows["product_id"].array,
            "path": rows["path"].array,
            "reason": rows["reason"].array,
            "remedy": [kind.remedy if kind else errors.BuildError.remedy for kind in kinds],
            "often": -often.to_numpy(),
        }
    )
    ordered = frame.sort_values(["often", "error_class", "product_id", "path"], kind="stable")
    return QUARANTINE.frame(ordered.drop(columns="often").reset_index(drop=True))


def causes(tiles: pd.DataFrame) -> str:
    """Describe how many products were quarantined for each cause; empty if none."""
    counts = tiles.loc[tiles["status"] == TileStatus.QUARANTINED, "error_class"].value_counts()
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def accepted(tiles: pd.DataFrame, share: float) -> bool:
    """Return whether a dataset counts as done although products were quarantined.

    Args:
        tiles: the tile table.
        share: maximum share of products that may be quarantined. Failures that the disk, permissions or an unexpected
            error may have caused are never accepted, only those due to the content of a file.
    """
    kinds = tiles.loc[tiles["status"] == TileStatus.QUARANTINED, "error_class"].map(_kind)
    excused = [
        kind is not None
        and issubclass(kind, errors.ProductError)
        and not issubclass(kind, errors.UnreadableFileError)
        for kind in kinds
    ]
    return all(excused) and len(excused) <= share * len(tiles)


def _kind(name: str) -> type[errors.BuildError] | None:
    kind = getattr(errors, str(name), None)
    return kind if inspect.isclass(kind) and issubclass(kind, errors.BuildError) else None


def _meaning(kind: type[errors.BuildError] | None) -> str:
    return "An unexpected error." if kind is None else " ".join((inspect.getdoc(kind) or "").split())
