"""Check whether parts of a dataset have something in common, and count the patches concerned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from spectralearth_build.split.groups import FREE
from spectralearth_build.split.links import (
    BUFFER,
    COMPONENT,
    DATATAKE,
    KINDS,
    LOCATION,
    TILE,
    TOUCHING,
    Codes,
    Counts,
    Tie,
    incidence,
)

ANY = "any"


@dataclass(frozen=True, eq=False)
class Leaks:
    """Numbers of patches with a tie to another part."""

    parts: tuple[str, ...]
    sizes: Codes
    """Number of patches of each part."""
    kinds: tuple[str, ...]
    """Kinds of ties that were checked, and `ANY`."""
    counts: Counts
    """Number of leaking patches [part, kind]; the last column counts patches that leak in any way."""

    def __bool__(self) -> bool:
        return bool(self.counts.any())

    def share(self, part: str, kind: str = ANY) -> float:
        """Fraction of a part's patches that leak, 0-1; 0 for a part without patches."""
        row = self.parts.index(part)
        return float(self.counts[row, self.kinds.index(kind)] / max(1, self.sizes[row]))


def leaks(ties: Mapping[str, Tie], part: Codes, parts: Sequence[str], whole: bool = False) -> Leaks:
    """Find ties between parts.

    Two patches of different parts leak if they have the same location or datatake, or a common tile that provides
    pixels; if their tiles are connected through touching tiles (of patches in parts); or if their ground is too close.

    Args:
        ties: ties by kind; kinds that are absent are not checked.
        part: part of each patch, or `FREE`.
        parts: names of the parts.
        whole: use the components of the tables, including tiles that have no patch in any part.
    """
    inside = part[:, None] == np.arange(len(parts))
    looked_for = {kind: ties[kind] for kind in (LOCATION, TILE, DATATAKE) if kind in ties}
    if whole:
        looked_for[COMPONENT] = ties[COMPONENT]
    elif TOUCHING in ties:
        looked_for[COMPONENT] = _connected(ties[TOUCHING], part != FREE)
    looked_for |= {kind: ties[kind] for kind in (BUFFER,) if kind in ties}
    hit = {kind: _crossing(tie, inside) for kind, tie in looked_for.items()}
    hit[ANY] = np.any(list(hit.values()), axis=0)
    kinds = tuple(kind for kind in (*KINDS, ANY) if kind in hit)
    counts = np.stack([inside[hit[kind]].sum(axis=0) for kind in kinds], axis=1)
    return Leaks(tuple(parts), inside.sum(axis=0), kinds, counts)


def _crossing(tie: Tie, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which patches in a part are tied to a patch in another part."""
    seen = tie.reached(inside.astype(np.int64)) > 0
    return np.asarray(inside.any(axis=1) & (seen & ~inside).any(axis=1))


def _connected(tie: Tie, live: npt.NDArray[np.bool_]) -> Tie:
    """A tie of patches that share a connected component of the related things of live patches."""
    assert tie.related is not None
    used = np.flatnonzero(tie.members.T @ live.astype(np.int64))
    component = np.full(tie.members.shape[1], FREE)
    count, component[used] = connected_components(tie.related[used][:, used], directed=False)
    members = tie.members.tocoo()
    known = component[members.col] != FREE
    return Tie(incidence(members.row[known], component[members.col[known]], (len(live), max(1, count))))
