"""Choice of the dates of a location that form a sample, from times and random keys."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Rule = Literal["random", "farthest", "season"]
"""random: any k dates. farthest: as far apart in time as possible. season: the first at random, the others in seasons
as different as possible from it and from each other."""
RULES: tuple[Rule, ...] = get_args(Rule)
YEAR_US = 365.2425 * 86_400e6
"""Mean Gregorian year in microseconds."""

Moments = npt.NDArray[np.int64]
Distances = npt.NDArray[np.floating[Any]]


def choose(rule: Rule, acquired: Moments, keys: npt.NDArray[np.uint64], k: int) -> list[int]:
    """Choose k dates of a location.

    Args:
        rule: how to choose.
        acquired: times of the n dates, ascending, in microseconds since 1970 UTC, int64 [n].
        keys: a random number for each date, uint64 [n].
        k: number of dates to choose.

    Returns:
        k indices below n, ascending. Each occurs once, unless n < k: then all occur, and some are repeated.
    """
    n = len(acquired)
    if n <= k:
        return sorted(i % n for i in range(k))
    if rule == "random" or k == 1:
        return sorted(np.argsort(keys, kind="stable")[:k].tolist())
    if rule == "farthest":
        return spread(_years_apart(acquired), 0, k)
    return spread(_seasons_apart(acquired), int(np.argmin(keys)), k)


def spread(distance: Distances, first: int, k: int) -> list[int]:
    """Choose k of n items by farthest-point sampling: each as far as possible from those chosen before. Ascending.

    Args:
        distance: symmetric distance matrix [n, n].
        first: index of the first item.
        k: number of items to choose, at most n.
    """
    chosen = [first]
    nearest = distance[first].astype(float)
    while len(chosen) < k:
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, distance[chosen[-1]])
    return sorted(chosen)


def _years_apart(acquired: Moments) -> Distances:
    years = acquired / YEAR_US
    return np.asarray(np.abs(years[:, None] - years[None]))


def _seasons_apart(acquired: Moments) -> Distances:
    """Return cyclic distances within the year, 0 to 0.5: December is near January."""
    apart = _years_apart(acquired) % 1.0
    return np.asarray(np.minimum(apart, 1.0 - apart))
