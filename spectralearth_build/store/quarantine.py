"""What was quarantined, grouped by cause, and how to try it once more."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pandas as pd

from spectralearth_build import errors
from spectralearth_build.files import remove, write_bytes
from spectralearth_build.store.commit import FOLDER as COMMITS
from spectralearth_build.store.commit import decode
from spectralearth_build.store.failures import FOLDER as FAILED
from spectralearth_build.store.retry import NEIGHBOUR
from spectralearth_build.tables import QUARANTINE

RECORDS = "work/scan"
"""What scan remembers of each product."""
APPEALS = "work/appeals.json"
"""Failures of cut that are to be tried again."""


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


def accepted(tiles: pd.DataFrame, share: float) -> bool:
    """Whether a dataset may count as done although products were quarantined.

    Args:
        tiles: the tile table.
        share: the largest share of its products that may be quarantined. Failures that the disk, permissions or an
            unexpected error may have caused, rather than the content of a file, are never accepted.
    """
    kinds = tiles.loc[tiles["status"] == "quarantined", "error_class"].map(_kind)
    excused = [
        kind is not None
        and issubclass(kind, errors.ProductError)
        and not issubclass(kind, errors.UnreadableFileError)
        for kind in kinds
    ]
    return all(excused) and len(excused) <= share * len(tiles)


def retry_quarantined(dataset: Path) -> int:
    """Let the next run try everything that was quarantined again; returns how many products, tiles and shards.

    These are products that scan found damaged, tiles that failed in cut, and shards with patches that were skipped
    because a neighbour could not be read. Results of cut stay until the tiles have been cut again, so a run that is
    refused before that changes nothing that was published.
    """
    records = [path for path in (dataset / RECORDS).glob("*.json") if _is_quarantine(path)]
    verdicts = [*(dataset / FAILED).glob("*.json")]
    verdicts += [path for path in (dataset / COMMITS).glob("*.json") if _lacks_a_neighbour(path)]
    for path in records:
        remove(path)
    if names := sorted({path.relative_to(dataset).as_posix() for path in verdicts} | appeals(dataset)):
        write_bytes(dataset / APPEALS, json.dumps(names).encode())
    return len(records) + len(verdicts)


def appeals(dataset: Path) -> frozenset[str]:
    """The failures of cut that no longer count: names of notes and of commit records below the dataset."""
    try:
        return frozenset(map(str, json.loads((dataset / APPEALS).read_bytes())))
    except (OSError, ValueError, TypeError):
        return frozenset()


def forget_appeals(dataset: Path) -> None:
    """Forget them, once everything has been tried again."""
    remove(dataset / APPEALS)


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
