"""Label fractions: nested shares of the training locations, the same on every machine for a given seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping


def order(classes: Mapping[str, Iterable[int]], seed: int) -> list[str]:
    """Return the locations in the order in which their labels are used.

    The order is random, by a hash of seed and name. Locations that add a class which no earlier one has are moved to
    the front, in the same order. So a share contains as many classes as possible. In the smallest shares, rare classes
    are therefore over-represented.

    Args:
        classes: the classes of each location.
        seed: random seed; another seed gives another order.

    Returns:
        All locations. A share is a prefix of the list, so shares are nested.
    """
    mixed = sorted(classes, key=lambda name: hashlib.blake2b(f"{seed} {name}".encode()).digest())
    seen: set[int] = set()
    first = []
    for name in mixed:
        new = set(classes[name]) - seen
        if new:
            first.append(name)
            seen |= new
    held = set(first)
    return first + [name for name in mixed if name not in held]


def chosen(classes: Mapping[str, Iterable[int]], share: float, seed: int) -> list[str]:
    """Return the locations of a share, rounded up.

    Args:
        classes: the classes of each location.
        share: above 0, at most 1.
        seed: random seed, as for `order`.
    """
    # The product of a share and a count can exceed an integer by a rounding error.
    count = math.ceil(share * len(classes) - 1e-9)
    return order(classes, seed)[:count]
