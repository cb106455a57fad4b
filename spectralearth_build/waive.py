"""Checks that a user waives for a tile with `scan.accept`."""

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
"""Names of the checks that may be waived, and what waiving them means."""
_ENTRY = re.compile(r"(DT\d{10}_\d{3})(?:=(\w+))?", re.ASCII)


def split(value: object) -> object:
    """Split a text at commas or spaces into a list; anything else is returned as is."""
    return [item for item in value.replace(",", " ").split() if item] if isinstance(value, str) else value


def check(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entries if all are valid.

    Raises:
        ValueError: an entry names no tile or an unknown check.
    """
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        if found is None or found[2] not in (None, *CHECKS):
            raise ValueError(f"'{entry}' is not TILE or TILE=CHECK, such as DT0000001849_005=hole; checks are"
                             f" {', '.join(CHECKS)}")  # fmt: skip
    return entries


def accepted(entries: Iterable[str], tile_id: str) -> tuple[str, ...]:
    """The checks waived for a tile, in the order of `CHECKS`; an entry without a check waives all of them."""
    named = [entry.partition("=")[2] for entry in entries if entry.partition("=")[0] == tile_id]
    return tuple(name for name in CHECKS if name in named or "" in named)


def tiles_of(entries: Iterable[str]) -> set[str]:
    """The tiles that entries name."""
    return {entry.partition("=")[0] for entry in entries}


def how(tile_id: str, name: str) -> str:
    """The option that waives a check for a tile, for use in a remedy."""
    return f"--set scan.accept={tile_id}={name}"
