"""Overview of a split, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectralearth_build.split.check import Leaks
from spectralearth_build.split.groups import FREE
from spectralearth_build.split.links import DATATAKE, LOCATION, TILE, Codes, Counts, Links

Row = tuple[object, ...]
NONE = "(left out)"


def sizes(links: Links, part: Codes, parts: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Header and rows: patches, locations, tiles and datatakes of each part."""
    head = ["part", "patches", "share %", "locations", "with 2+ dates", "tiles", "datatakes"]
    rows: list[Row] = []
    for number, name in [*enumerate(parts), (FREE, NONE)]:
        mine = part == number
        if number == FREE and not mine.any():
            continue
        weights = mine.astype(np.int64)
        seen = {kind: links.ties[kind].members.T @ weights for kind in (LOCATION, TILE, DATATAKE)}
        count = {kind: int((values > 0).sum()) for kind, values in seen.items()}
        deep = int((seen[LOCATION] > 1).sum())
        share = 100 * float(mine.mean())
        rows.append((name, int(mine.sum()), share, count[LOCATION], deep, count[TILE], count[DATATAKE]))
    return head, rows


def shares(
    strata: tuple[Sequence[str], Counts], part: Codes, parts: Sequence[str]
) -> tuple[list[str], list[Row]]:
    """Header and rows: percentage of each part's patches in each stratum."""
    names, member = strata
    rows: list[Row] = []
    for column, name in enumerate(names):
        if name:
            of_part = [member[part == number, column] for number in range(len(parts))]
            share = [100 * float(values.mean()) if len(values) else float("nan") for values in of_part]
            rows.append((name, int(member[:, column].sum()), *share))
    return ["stratum", "patches", *(f"{name} %" for name in parts)], rows


def leaking(found: Leaks) -> tuple[list[str], list[Row]]:
    """Header and rows: number and percentage of each part's patches with a tie to another part, by kind."""
    rows: list[Row] = [(kind, *(_cell(found, part, kind) for part in found.parts)) for kind in found.kinds]
    return ["in common with another part", *found.parts], rows


def _cell(found: Leaks, part: str, kind: str) -> str:
    count = found.counts[found.parts.index(part), found.kinds.index(kind)]
    return f"{count:,} ({100 * found.share(part, kind):.1f} %)"
