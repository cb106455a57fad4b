"""Choose among several copies and versions of a tile.

A tile is a datatake and a tile number. The newest version is preferred, and of the copies of one product, the folder to
the zip and the zip to the tar. The first sound product in this order is used, so a damaged newer version or copy does
no harm. Once patches were cut from a version, it stays in use, unless newer ones are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from spectralearth_build.archive.discover import Found
from spectralearth_build.journal import plan_in_use
from spectralearth_build.layout import PLAN, TileStatus
from spectralearth_build.plan_document import PlanDocument

_ORDER = {"folder": 0, "zip": 1, "tar": 2}
NO_PINS: Mapping[str, str] = MappingProxyType({})


def pinned(dataset: Path) -> dict[str, str]:
    """The product of each tile in the plan of a dataset with cut shards, by tile_id; empty without such a plan."""
    folder = plan_in_use(dataset)
    plan = PlanDocument.readable(folder / PLAN) if folder else None
    return {tile: str(product) for tile, (product, _) in plan.inputs["tiles"].items()} if plan else {}


def candidates(found: Iterable[Found], pins: Mapping[str, str] = NO_PINS) -> dict[str, list[Found]]:
    """Products by tile, in order of preference.

    Args:
        found: products with a name.
        pins: by tile_id, the product_id that comes first, whatever its version.

    Returns:
        By tile_id, sorted: the pinned product, then newest version first (by version, then processing time), then
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
    """Final status of a product that was not chosen, and the reason.

    Returns:
        Status (duplicate, superseded or, where an older version is pinned, unused) and reason.
    """
    assert chosen.name is not None
    if _product_of(item) == chosen.name.product_id:
        return TileStatus.DUPLICATE, f"The same product is used from {chosen.path}."
    if _copy_order(item)[:2] < _copy_order(chosen)[:2]:
        return (
            TileStatus.UNUSED,
            f"The dataset has an older version of this tile, {chosen.name.product_id}. "
            "To replace it, build with plan.replace_versions = true.",
        )
    return TileStatus.SUPERSEDED, f"{chosen.name.product_id} is newer."


def waiting(tiles: pd.DataFrame) -> list[str]:
    """The products that are not used because the dataset has an older version of their tile.

    Args:
        tiles: the tile table.
    """
    newer = (tiles["status"] == TileStatus.UNUSED) & ~tiles["eligible"].astype(bool)
    return [str(product) for product in tiles.loc[newer, "product_id"].unique()]


def _product_of(item: Found) -> str:
    assert item.name is not None
    return item.name.product_id


def _copy_order(item: Found) -> tuple[int, float, str, int, str]:
    assert item.name is not None
    name = item.name
    return -int(name.version[1:]), -name.processed.timestamp(), name.product_id, _ORDER[item.kind], item.path
