"""Patches that would tie two parts together are left out, never moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import UsageError
from spectralearth_build.split.groups import FREE
from spectralearth_build.split.links import BUFFER, TOUCHING, Codes, Links

Flags = npt.NDArray[np.bool_]


def settled(
    links: Links, part: Codes, kept: Flags, rank: Sequence[int], names: Sequence[str]
) -> tuple[Codes, list[str]]:
    """Leave out what stands between parts: of two patches that are tied, the one of the part with the lower rank.

    Patches that are kept come before all others and are never left out.

    Args:
        links: the patches and their ties.
        part: for each patch its part, or `FREE`.
        kept: patches whose part was decided earlier.
        rank: parts, the one that gives way last first.
        names: of the parts.

    Returns:
        Parts with `FREE` for what is left out, and for each patch the reason, empty where there is none.

    Raises:
        UsageError: two patches that are kept are tied.
    """
    part, reason = part.copy(), [""] * len(part)
    for old in (True, False):
        for strong in rank:
            mine = (part == strong) & (kept if old else ~kept)
            if not mine.any():
                continue
            hit = links.reach(mine, (TOUCHING, BUFFER)) & (part != strong) & (part != FREE)
            if (hit & kept).any():
                name = links.patches["patch_id"].iloc[int(np.flatnonzero(hit & kept)[0])]
                raise UsageError(
                    f"Earlier assignments leak: {name} is tied to part {names[strong]}.",
                    remedy="Keep the buffer they were made with, or make them anew with --anew.",
                )
            for row in np.flatnonzero(hit).tolist():
                reason[row] = f"Would tie {names[part[row]]} to {names[strong]}."
            part[hit] = FREE
    return part, reason
