"""Assign whole groups to parts, so that each part gets its share of every stratum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectralearth_build.split.links import Codes, Counts

Floats = npt.NDArray[np.float64]
SWEEPS = 10
"""Largest number of passes in which groups are moved."""
SIZE_WEIGHT = 3.0
"""Weight of the size of parts; each stratum has the weight 1."""


def chance(seed: int, *names: str) -> bytes:
    """Pseudo-random bytes that depend only on the seed and the names."""
    return hashlib.blake2b(" ".join([str(seed), *names]).encode(), digest_size=8).digest()


def weights_of(strata: Sequence[str]) -> Floats:
    """Weight of each stratum; the stratum of all patches, "", has a higher weight, `SIZE_WEIGHT`."""
    return np.array([1.0 if name else SIZE_WEIGHT for name in strata])


def dealt(
    counts: Counts, held: Counts, fractions: Floats, weights: Floats, names: Sequence[str], seed: int
) -> Codes:
    """Choose a part for each group: the largest first, each so that the deviation from the targets is smallest.

    Deviation is the weighted sum over parts and strata of (patches - target)^2 / target. Groups of about the same
    size (within a factor of two) are taken in an order that depends on the seed. Then groups move if that is better.

    Args:
        counts: patches of each group in each stratum [group, stratum]; the first stratum has all.
        held: patches that parts already have [part, stratum].
        fractions: share of each part.
        weights: weights of the strata.
        names: names of the groups, which determine the random order among equal groups.
        seed: seed of the random order.

    Returns:
        The part of each group.
    """
    targets = fractions[:, None] * (counts.sum(axis=0) + held.sum(axis=0))
    scale = weights / np.maximum(targets, 1e-9) * (targets > 0)
    found, now = np.full(len(counts), -1), held.astype(np.float64)
    size_class = np.frexp(counts[:, 0].astype(np.float64))[1]
    order = sorted(range(len(counts)), key=lambda g: (-size_class[g], chance(seed, names[g])))
    for _ in range(1 + SWEEPS):
        before = found.copy()
        for group in order:
            more = counts[group]
            if found[group] >= 0:
                now[found[group]] -= more
            change = ((2 * (now - targets) + more) * more * scale).sum(axis=1)
            ties = np.flatnonzero(change <= change.min() + 1e-9)
            part = min(ties.tolist(), key=lambda p: chance(seed, names[group], str(p)))
            found[group], now[part] = part, now[part] + more
        if np.array_equal(found, before):
            break
    return found
