"""Summaries of finished datasets, in words."""

from __future__ import annotations

from pathlib import Path

from dask.utils import format_bytes

from spectralearth_build.journal import newest
from spectralearth_build.layout import REPORT, STORE
from spectralearth_build.progress import say
from spectralearth_build.publishing.quarantine import accepted, causes
from spectralearth_build.store.manifest import Manifest
from spectralearth_build.tables import STATUSES, TILES
from spectralearth_build.texts import counted


def summary(dataset: Path) -> list[str]:
    """A summary of a finished dataset, as aligned lines."""
    numbers = Manifest.read(dataset).counts
    statuses = ", ".join(f"{numbers['tiles'][s]} {s}" for s in STATUSES if numbers["tiles"][s])
    dates = numbers["locations"]["by_dates"].items()
    patches = numbers["patches"]
    retired = f", {patches['retired']} retired" if patches["retired"] else ""
    stored = sum(path.stat().st_size for path in (dataset / STORE).rglob("*") if path.is_file())
    rows = {
        "products": f"{numbers['tiles']['found']} found: {statuses}",
        "patches": f"{patches['written']} written, {patches['skipped']} skipped{retired}",
        "locations": ", ".join(f"{n} with {k} date{'s' * (k != '1')}" for k, n in dates),
        "store": f"{dataset / STORE} ({format_bytes(stored)})",
        "report": str(dataset / REPORT),
    }
    return [f"{name:<10} {text}" for name, text in rows.items()]


def unlabelled(dataset: Path) -> dict[str, int]:
    """The number of written patches that `pair` has not processed yet, by label; labels without any are left out."""
    numbers = Manifest.read(dataset).counts
    written = numbers["patches"]["written"]
    left = {label: written - sum(statuses.values()) for label, statuses in numbers.get("labels", {}).items()}
    return {label: count for label, count in left.items() if count}


def quarantined(dataset: Path, share: float = 0.0) -> bool:
    """Return whether quarantined products prevent success. Prints a note if some are accepted or too many.

    Args:
        dataset: the dataset.
        share: `run.accept_quarantined`.
    """
    tiles = TILES.read(newest(dataset, TILES.file).parent, ["status", "error_class"])
    found = causes(tiles)
    if not found or not accepted(tiles, share):
        if found and share:
            say(
                f"quarantined: {found}: not covered by run.accept_quarantined (too many, or unreadable files)"
            )
        return bool(found)
    say(f"quarantined: {found} of {counted(len(tiles), 'product')}: accepted by run.accept_quarantined")
    return False
