"""What was quarantined, grouped by cause, and how to try it once more."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pandas as pd

from spectralearth_build import errors
from spectralearth_build.files import remove
from spectralearth_build.store.commit import FOLDER as COMMITS
from spectralearth_build.store.commit import decode
from spectralearth_build.store.failures import FOLDER as FAILED
from spectralearth_build.store.retry import NEIGHBOUR
from spectralearth_build.tables import QUARANTINE

RECORDS = "work/scan"
"""What scan remembers of each product."""


def quarantine(tiles: pd.DataFrame) -> pd.DataFrame:
    """The rows of quarantine.parquet: the most frequent cause first, then by name.

    Args:
        tiles: the tile table with its final status.
    """
    rows = tiles[tiles["status"] == "quarantined"]
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
    """How many products were quarantined for which cause, in words; empty for none."""
    counts = tiles.loc[tiles["status"] == "quarantined", "error_class"].value_counts()
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def retry_quarantined(dataset: Path) -> int:
    """Forget every verdict on products, so that the next run tries them again; returns how many were forgotten.

    These are products that scan found damaged, tiles that failed in cut, and shards with patches that were skipped
    because a neighbour could not be read.
    """
    verdicts = [*(dataset / FAILED).glob("*.json")]
    verdicts += [path for path in (dataset / RECORDS).glob("*.json") if _is_quarantine(path)]
    verdicts += [path for path in (dataset / COMMITS).glob("*.json") if _lacks_a_neighbour(path)]
    for path in verdicts:
        remove(path)
    return len(verdicts)


def _is_quarantine(record: Path) -> bool:
    try:
        return bool(json.loads(record.read_bytes())["status"] == "quarantined")
    except (ValueError, LookupError, TypeError):
        return True  # a damaged record


def _lacks_a_neighbour(record: Path) -> bool:
    try:
        skipped = decode(record.read_bytes()).skipped
    except ValueError:
        return False  # no proof of anything: it is not used
    return any(NEIGHBOUR.fullmatch(skip.reason) for skip in skipped)


def _kind(name: str) -> type[errors.BuildError] | None:
    kind = getattr(errors, str(name), None)
    return kind if inspect.isclass(kind) and issubclass(kind, errors.BuildError) else None


def _meaning(kind: type[errors.BuildError] | None) -> str:
    return "An unexpected error." if kind is None else " ".join((inspect.getdoc(kind) or "").split())
