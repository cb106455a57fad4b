"""Which of several copies and versions of a tile counts.

A tile is a datatake and a number. Of its versions the newest counts, of the copies of one product the folder before
the zip before the tar; but always the first that is sound, so that a damaged newer version or copy takes nothing away.
"""

from __future__ import annotations

from collections.abc import Iterable

from spectralearth_build.archive.discover import Found

_ORDER = {"folder": 0, "zip": 1, "tar": 2}


def candidates(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Products by tile, in the order in which they are preferred.

    Args:
        found: products with a name.

    Returns:
        By tile_id, in order of it: newest version first (by version, then processing time), then folder, zip, tar,
        then in order of path.
    """
    tiles: dict[str, list[Found]] = {}
    for item in found:
        if item.name is not None:
            tiles.setdefault(item.name.tile_id, []).append(item)
    return {tile: sorted(tiles[tile], key=_copy_order) for tile in sorted(tiles)}


def fate(item: Found, chosen: Found) -> tuple[str, str]:
    """What becomes of a product that was not chosen, and why.

    Returns:
        Status (duplicate or superseded) and reason.
    """
    assert item.name is not None
    assert chosen.name is not None
    if item.name.product_id == chosen.name.product_id:
        return "duplicate", f"The same product is used from {chosen.path}."
    return "superseded", f"{chosen.name.product_id} is newer."


def _copy_order(item: Found) -> tuple[int, float, str, int, str]:
    assert item.name is not None
    name = item.name
    return -int(name.version[1:]), -name.processed.timestamp(), name.product_id, _ORDER[item.kind], item.path
