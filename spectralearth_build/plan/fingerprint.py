"""What a plan depends on, so that a change between two runs is noticed and named."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

from spectralearth_build.config import Config

MATTERS = ("quality", "plan", "store")
"""Sections of the configuration that decide what is written. (``scan`` speaks through the tiles' fingerprints.)"""

Inputs = dict[str, dict[str, Any]]


def inputs_of(config: Config, tiles: pd.DataFrame) -> Inputs:
    """Settings and eligible tiles of a plan.

    Args:
        config: all settings.
        tiles: the tile table.
    """
    eligible = tiles[tiles["eligible"].astype(bool)]
    known = eligible["fingerprint"].fillna("").where(lambda text: text != "", eligible["product_id"])
    return {
        "settings": {
            f"{section}.{name}": value
            for section in MATTERS
            for name, value in getattr(config, section).model_dump().items()
        },
        "tiles": dict(sorted(zip(eligible["tile_id"], known.str.slice(0, 80), strict=True))),
    }


def identity(inputs: Inputs, patches: pd.DataFrame) -> str:
    """The plan's name: SHA-256 of its inputs and of every row it will write."""
    rows = patches[["patch_id", "store_row", "sources"]].assign(sources=patches["sources"].map(list))
    text = json.dumps([inputs, rows.to_numpy().tolist()], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def difference(old: Inputs, new: Inputs) -> list[str]:
    """What changed, one line each; long lists of tiles are cut."""
    before, after = old["settings"], new["settings"]
    lines = [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
    had, has = old["tiles"], new["tiles"]
    for word, names in (
        ("new", sorted(has.keys() - had.keys())),
        ("gone", sorted(had.keys() - has.keys())),
        ("changed", sorted(t for t in had.keys() & has.keys() if had[t] != has[t])),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"tiles {word}: {', '.join(names[:3])}{more}")
    return lines
