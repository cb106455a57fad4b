"""Which labels of train are used: nested shares of its locations, the same on every machine for a seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping


def order(classes: Mapping[str, Iterable[int]], seed: int) -> list[str]:
    """Locations in the order in which their labels are used.

    The order is random, by a hash of seed and name, but for its beginning: there stand the first locations, in that
    same order, that each bring a class that none before them has. So a share holds every class that it has room for,
    which makes rare classes more frequent in the smallest shares than they are.

    Args:
        classes: those of each location.
        seed: another one, another order.

    Returns:
        All locations. A beginning of the list is a share; shares are nested.
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
    """The locations of a share: that part of all, rounded up.

    Args:
        classes: those of each location.
        share: above 0, at most 1.
        seed: of `order`.
    """
    # The product of a share and a count may lie a rounding error above a whole number.
    count = math.ceil(share * len(classes) - 1e-9)
    return order(classes, seed)[:count]
