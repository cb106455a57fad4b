"""Checks that a user waives for a tile, in the words of `scan.accept`."""

from __future__ import annotations

import re
from collections.abc import Iterable

CHECKS = {
    "hole": "parts of the image that look as if they were never written count as data",
    "size": "the size of the raster may differ from its metadata",
    "corners": "the position of the raster may differ from its metadata",
    "bands": "bands may be up to 5 nm from their nominal wavelengths",
    "latitude": "the tile may lie poleward of 84 degrees north or 80 degrees south",
    "correction": "the metadata may name an unknown correction; the tile counts as land mode",
    "sun": "the sun may be lower than quality.min_sun_elevation",
    "quality": "the overall quality may be worse than quality.max_overall_quality",
}
"""What may be waived, and what that means."""
_ENTRY = re.compile(r"(DT\d{10}_\d{3})(?:=(\w+))?", re.ASCII)


def split(value: object) -> object:
    """A list given as text, with commas between its items, as a list."""
    return [item for item in value.replace(",", " ").split() if item] if isinstance(value, str) else value


def check(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The same entries.

    Raises:
        ValueError: one is no tile, or names no check.
    """
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        if found is None or found[2] not in (None, *CHECKS):
            raise ValueError(f"'{entry}' is not TILE or TILE=CHECK, such as DT0000001849_005=hole; checks are"
                             f" {', '.join(CHECKS)}")  # fmt: skip
    return entries


def accepted(entries: Iterable[str], tile_id: str) -> tuple[str, ...]:
    """The checks that are waived for a tile, in the order of `CHECKS`; an entry without a check waives them all."""
    named = [entry.partition("=")[2] for entry in entries if entry.partition("=")[0] == tile_id]
    return tuple(name for name in CHECKS if name in named or "" in named)


def tiles_of(entries: Iterable[str]) -> set[str]:
    """The tiles that entries name."""
    return {entry.partition("=")[0] for entry in entries}


def how(tile_id: str, name: str) -> str:
    """What to type to waive a check for a tile, as part of a remedy."""
    return f"--set scan.accept={tile_id}={name}"
