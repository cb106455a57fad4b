"""Leave out patches that would tie two parts together; patches are never moved."""

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
    """Leave out patches between parts: of two tied patches, the one of the part that is later in ``rank``.

    Kept patches come before all others and are never left out.

    Args:
        links: the patches and their ties.
        part: part of each patch, or `FREE`.
        kept: patches that were assigned earlier.
        rank: parts in order of precedence.
        names: names of the parts.

    Returns:
        Parts, with `FREE` for left-out patches, and the reason for each patch, empty if it is not left out.

    Raises:
        UsageError: two kept patches of different parts are tied.
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
                    remedy="Use the buffer with which they were made, or --anew to replace them.",
                )
            for row in np.flatnonzero(hit).tolist():
                reason[row] = f"Would tie {names[part[row]]} to {names[strong]}."
            part[hit] = FREE
    return part, reason
