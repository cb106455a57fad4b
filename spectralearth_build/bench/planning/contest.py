"""Comparison of placement strategies on the same components, one by one in one process.

The common input (regions of tiles, joined datatakes, depth) is computed once per component and timed separately.
SpectralEarth's Algorithm 1 uses single tiles, not joined datatakes. It runs in two versions: on runs of pixels, with
each tuple packed as tightly as possible, and on polygons, each cut into a grid (see `polygons`). Its windows are
counted twice: with the dates of the tuple of each window, as in the paper, and with all dates that cover the window,
including joined datatakes, which favours it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.bench.measure import FIRST, at_most, counts, timed
from spectralearth_build.bench.planning import polygons
from spectralearth_build.config import QualityConfig
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.view import Tile
from spectralearth_build.overlap.zones import owned
from spectralearth_build.plan.algorithm1 import laid_out
from spectralearth_build.plan.bound import upper_bound
from spectralearth_build.plan.component import ComponentOnLattice, on_each_lattice
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.lattices import Placed, place
from spectralearth_build.plan.problem import Problem, Strategy
from spectralearth_build.plan.shelves import shelves
from spectralearth_build.plan.tasks import tiles_of
from spectralearth_build.progress import track
from spectralearth_build.worth import worth_of

SIZES = (4, 10, 32, 100)
"""Components of several datatakes are classified by their number of tiles: below 4, below 10, and so on."""

Dates = npt.NDArray[np.int64]
"""Number of dates of each window."""


@dataclass(frozen=True)
class Entrant:
    """A strategy to compare."""

    name: str
    strategy: Strategy
    value: str = "patches"
    """The preset that it maximises. Other strategies place the same windows for all presets."""


OURS: dict[str, str] = {value: f"ours ({value})" for value in FIRST}
ENTRANTS = (
    Entrant("fixed lattice", fixed_lattice),
    Entrant("greedy by depth", greedy),
    *(Entrant(name, shelves, value) for value, name in OURS.items()),
)
ON_POLYGONS = "Algorithm 1 on polygons"
KEPT = {f"{name}, {kept} kept": kept for name in ("Algorithm 1", ON_POLYGONS) for kept in (20, 100)}
"""Strategies that are too slow for all components. They run on a sample, with a time limit per component."""
IN_FULL = ", all dates"
"""Suffix of a name in `KEPT`, for the same windows with all dates that cover them."""


_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Contest:
    """The measurements."""

    components: pd.DataFrame
    """One row per component: component, tiles, class, datatakes, lattices, depth, valid_pixels, sampled, seconds
    (shared by all strategies), bound_seconds, and the upper bound of each preset, ``bound_<preset>``."""
    runs: pd.DataFrame
    """One row per component and strategy: component, tiles, class, strategy, finished, seconds, the counts, and the
    value of the placement under each preset, ``value_<preset>``. Counts of unfinished runs are 0."""


def contest(tiles: gpd.GeoDataFrame, sample: int, limit: float, seed: int = 0) -> Contest:
    """Run all `ENTRANTS` on an archive.

    Args:
        tiles: `tables.TILES`, planned by their footprints.
        sample: number of components for the slow strategies.
        limit: time limit of a slow strategy per component, in seconds.
        seed: chooses the sample.
    """
    groups = components(tiles.geometry.to_numpy())
    every = tiles_of(tiles)
    classes = classed(
        [len(group) for group in groups], [len({every[i].datatake for i in group}) for group in groups]
    )
    chosen = sampled(classes, sample, seed)
    _warm_up([every[i] for i in rehearsal(groups)])
    found, runs = [], []
    for number, group in track(enumerate(groups), "bench", len(groups)):
        with timed() as shared:
            members = list(on_each_lattice([every[i] for i in group], lambda _: None, QualityConfig()))
        about = {"component": number, "tiles": len(group), "class": classes[number]}
        found.append(about | _common(members) | {"sampled": number in chosen, "seconds": shared.seconds})
        runs += [about | run for run in _runs(members, limit if number in chosen else None)]
    return Contest(pd.DataFrame(found), pd.DataFrame(runs))


def rehearsal(groups: Sequence[list[int]], most: int = 12) -> list[int]:
    """Return a moderately large component to run first, so that compiled code is loaded before measuring."""
    return max((group for group in groups if len(group) <= most), key=len, default=groups[0])


def classed(tiles: Sequence[int], datatakes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return the class of each component: 0 for a single datatake, else 1 to 5 by number of tiles (see `SIZES`)."""
    return np.where(np.asarray(datatakes) == 1, 0, 1 + np.digitize(tiles, SIZES))


def sampled(classes: npt.NDArray[np.int64], sample: int, seed: int) -> set[int]:
    """Return the sampled components, equally many of each class, so that deep ones are included.

    Args:
        classes: class of each component.
        sample: number of components. If a class has too few, the others provide more.
        seed: random seed of the choice within a class.
    """
    order = np.random.default_rng([seed, 31]).permutation(len(classes))
    turn = (
        pd.Series(order).groupby(classes[order]).cumcount().to_numpy()
    )  # the first of each class, the second, ...
    return set(order[np.argsort(turn, kind="stable")][:sample].tolist())


def _warm_up(tiles: list[Tile]) -> None:
    """Load all compiled code."""
    members = list(on_each_lattice(tiles, lambda _: None, QualityConfig()))
    _common(members)
    list(_runs(members, 60.0))


def _common(members: Sequence[ComponentOnLattice]) -> dict[str, Any]:
    with timed() as clock:
        bounds = {
            f"bound_{value}": sum(upper_bound(_problem(ground, value)) for ground in members)
            for value in FIRST
        }
    return {
        "datatakes": len({d.name for ground in members for d in ground.datatakes}),
        "lattices": len(members),
        "depth": max((int(ground.depth.depth.max()) for ground in members), default=0),
        "valid_pixels": sum(_valid_pixels(ground) for ground in members),
        "bound_seconds": clock.seconds,
        **bounds,
    }


def _problem(ground: ComponentOnLattice, value: str) -> Problem:
    return ground.problem(worth_of(value, 1, len(ground.datatakes)))


def _valid_pixels(ground: ComponentOnLattice) -> int:
    """Count the valid pixels of all datatakes in the zone of this lattice, where its windows are."""
    total = 0
    for datatake in ground.datatakes:
        box = datatake.valid.box
        total += (datatake.valid & owned(ground.epsg, box.line, box.stop_line, 1)).area
    return total


def _runs(members: Sequence[ComponentOnLattice], limit: float | None) -> Iterator[dict[str, Any]]:
    """Run all strategies on a component; the slow ones only if there is a time limit."""
    for entrant in ENTRANTS:
        seconds, placed = _placed(members, entrant.value, entrant.strategy)
        yield _row(entrant.name, seconds, _all_dates(members, placed))
    if limit is not None:
        for name, kept in KEPT.items():
            yield from _algorithm1(name, kept, members, limit)


def _algorithm1(
    name: str, kept: int, members: Sequence[ComponentOnLattice], limit: float
) -> Iterator[dict[str, Any]]:
    own = [_NONE]
    lattices = iter(members)  # placement uses them in this order

    def strategy(problem: Problem) -> Points:
        if name.startswith(ON_POLYGONS):
            anchors, dates = polygons.laid_out(problem, polygons.footprints_of(next(lattices)), kept)
        else:
            anchors, dates = laid_out(problem, kept)
        own.append(dates)
        return anchors

    try:
        with timed() as clock, at_most(limit):
            seconds, placed = _placed(members, "patches", strategy)
    except TimeoutError:
        yield from (_row(label, clock.seconds, None) for label in (name, name + IN_FULL))
    else:
        yield _row(name, seconds, np.concatenate(own))
        yield _row(name + IN_FULL, seconds, _all_dates(members, placed))


def _placed(members: Sequence[ComponentOnLattice], value: str, strategy: Strategy) -> tuple[float, Placed]:
    """Place windows on all lattices, as planning does, and return the seconds it took."""
    problems = {ground.epsg: _problem(ground, value) for ground in members}
    with timed() as clock:
        placed = place(problems, strategy)
    return clock.seconds, placed


def _all_dates(members: Sequence[ComponentOnLattice], placed: Placed) -> Dates:
    """Return all dates of each window."""
    found = [ground.depth.members(placed[ground.epsg]).sum(axis=1) for ground in members]
    return np.concatenate([_NONE, *found])


def _row(strategy: str, seconds: float, dates: Dates | None) -> dict[str, Any]:
    """Return the result of a strategy on a component. ``dates`` is None if it did not finish."""
    achieved = _NONE if dates is None else dates
    worth = {value: worth_of(value, 1, int(achieved.max(initial=0))) for value in FIRST}
    return {
        "strategy": strategy,
        "finished": dates is not None,
        "seconds": seconds,
        **counts(achieved),
        **{f"value_{value}": int(worth[value][achieved].sum()) for value in FIRST},
    }
