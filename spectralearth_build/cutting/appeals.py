"""Failures of cut that `--retry-quarantined` marked for a retry."""

from __future__ import annotations

import json
from pathlib import Path

from spectralearth_build.cutting.readable_now import NEIGHBOUR
from spectralearth_build.files import remove, write_bytes
from spectralearth_build.layout import APPEALS, COMMITS, FAILED, SCANNED, TileStatus
from spectralearth_build.store.commit import decode


def retry_quarantined(dataset: Path) -> int:
    """Make the next run retry everything that was quarantined. Returns the number of products, tiles and shards.

    These are products that scan found damaged, tiles that failed in cut, and shards with patches that were skipped
    because a neighbour could not be read. Results of cut stay until the tiles have been cut again. So a run that is
    refused before that changes nothing that was published.
    """
    records = [path for path in (dataset / SCANNED).glob("*.json") if _is_quarantine(path)]
    verdicts = [*(dataset / FAILED).glob("*.json")]
    verdicts += [path for path in (dataset / COMMITS).glob("*.json") if _lacks_a_neighbour(path)]
    for path in records:
        remove(path)
    if names := sorted({path.relative_to(dataset).as_posix() for path in verdicts} | appeals(dataset)):
        write_bytes(dataset / APPEALS, json.dumps(names).encode())
    return len(records) + len(verdicts)


def appeals(dataset: Path) -> frozenset[str]:
    """Return the failures of cut that no longer count: names of notes and commit records below the dataset."""
    try:
        return frozenset(map(str, json.loads((dataset / APPEALS).read_bytes())))
    except (OSError, ValueError, TypeError):
        return frozenset()


def forget_appeals(dataset: Path) -> None:
    """Delete the list, once everything has been retried."""
    remove(dataset / APPEALS)


def _is_quarantine(record: Path) -> bool:
    try:
        return bool(json.loads(record.read_bytes())["status"] == TileStatus.QUARANTINED)
    except (ValueError, LookupError, TypeError):
        return True  # a damaged record


def _lacks_a_neighbour(record: Path) -> bool:
    try:
        skipped = decode(record.read_bytes()).skipped
    except ValueError:
        return False  # not valid: it is not used
    return any(NEIGHBOUR.fullmatch(skip.reason) for skip in skipped)
