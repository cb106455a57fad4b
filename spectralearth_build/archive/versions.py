"""Which of several copies and versions of a tile counts.

A tile is a datatake and a number. Of its versions the newest counts, of the copies of one product the folder before
the zip before the tar; but always the first that is sound, so that a damaged newer version or copy takes nothing away.
Once patches were cut from a version, it stays the one that counts, unless newer ones are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from spectralearth_build.archive.discover import Found
from spectralearth_build.journal import plan_in_use
from spectralearth_build.layout import PLAN

_ORDER = {"folder": 0, "zip": 1, "tar": 2}
NO_PINS: Mapping[str, str] = MappingProxyType({})


def pinned(dataset: Path) -> dict[str, str]:
    """The product of each tile that is in the plan of a dataset of which something was cut, by tile_id."""
    folder = plan_in_use(dataset)
    try:
        tiles = json.loads((folder / PLAN).read_bytes())["inputs"]["tiles"] if folder else {}
        return {tile: str(product) for tile, (product, _) in tiles.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def candidates(found: Iterable[Found], pins: Mapping[str, str] = NO_PINS) -> dict[str, list[Found]]:
    """Products by tile, in the order in which they are preferred.

    Args:
        found: products with a name.
        pins: tile_id to product_id: what comes first whatever its version.

    Returns:
        By tile_id, in order of it: what is pinned, then newest version first (by version, then processing time), then
        folder, zip, tar, then in order of path.
    """
    tiles: dict[str, list[Found]] = {}
    for item in found:
        if item.name is not None:
            tiles.setdefault(item.name.tile_id, []).append(item)
    return {
        tile: sorted(tiles[tile], key=lambda item: (_product_of(item) != pins.get(tile), _copy_order(item)))
        for tile in sorted(tiles)
    }


def status_of(item: Found, chosen: Found) -> tuple[str, str]:
    """What becomes of a product that was not chosen, and why.

    Returns:
        Status (duplicate, superseded or, where an older version is pinned, unused) and reason.
    """
    assert chosen.name is not None
    if _product_of(item) == chosen.name.product_id:
        return "duplicate", f"The same product is used from {chosen.path}."
    if _copy_order(item)[:2] < _copy_order(chosen)[:2]:
        return (
            "unused",
            f"The dataset has an older version of this tile, {chosen.name.product_id}. "
            "To replace it, build with plan.replace_versions = true.",
        )
    return "superseded", f"{chosen.name.product_id} is newer."


def waiting(tiles: pd.DataFrame) -> list[str]:
    """The products, newer than what the dataset has of their tiles, that are not used for that reason.

    Args:
        tiles: the tile table.
    """
    newer = (tiles["status"] == "unused") & ~tiles["eligible"].astype(bool)
    return [str(product) for product in tiles.loc[newer, "product_id"].unique()]


def _product_of(item: Found) -> str:
    assert item.name is not None
    return item.name.product_id


def _copy_order(item: Found) -> tuple[int, float, str, int, str]:
    assert item.name is not None
    name = item.name
    return -int(name.version[1:]), -name.processed.timestamp(), name.product_id, _ORDER[item.kind], item.path
