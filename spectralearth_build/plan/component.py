"""Plan one component: from the masks of its tiles to overlaps, tuples, locations and patches. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.mask import Mask
from spectralearth_build.overlap.coverage import Coverage, Face, cover, faces
from spectralearth_build.overlap.datatake import Datatake, join
from spectralearth_build.overlap.graph import shared_windows
from spectralearth_build.overlap.lattice import WINDOW, columns_of
from spectralearth_build.overlap.polygon import outlines, region_of_footprint
from spectralearth_build.overlap.region import Points, Region, union
from spectralearth_build.overlap.runs import touches
from spectralearth_build.overlap.view import FLAGS, Tile, View, view
from spectralearth_build.overlap.zones import owned, zones_of
from spectralearth_build.plan.algorithm1 import algorithm1
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.greedy import greedy
from spectralearth_build.plan.lattices import place
from spectralearth_build.plan.problem import Problem, Strategy
from spectralearth_build.plan.shelves import shelves
from spectralearth_build.plan.spacing import Flags, Spacing, spacing
from spectralearth_build.worth import Worth, worth_of

Rows = list[dict[str, Any]]
Columns = dict[str, npt.NDArray[Any]]
"""Rows of a table, by column: there are many rows, and arrays are cheap to send between processes."""


@dataclass(frozen=True, eq=False)
class Held:
    """Windows that a dataset already has, on one lattice."""

    anchors: Points
    dates: tuple[frozenset[str], ...]
    """The datatakes of each window."""

    def counted(self, depth: Coverage, rule: Spacing | None, datatakes: Sequence[str]) -> Flags:
        """The datatakes of each window now: all that cover it or, with a rule, its own and those that fit them.

        Returns:
            bool [window, datatake].
        """
        members = depth.members(self.anchors)
        if rule is None:
            return members
        has = np.array([[name in dates for name in datatakes] for dates in self.dates], np.bool_)
        return rule(members, has)


NOTHING_HELD: Mapping[int, Held] = MappingProxyType({})


@dataclass(frozen=True)
class ComponentPlan:
    """The plan of one component, without ids, geometry, times and store rows."""

    overlaps: Rows = field(default_factory=list)
    tuples: Rows = field(default_factory=list)
    locations: list[Columns] = field(default_factory=list)
    """For each lattice, columns epsg, lattice_col, lattice_row and n."""
    patches: list[Columns] = field(default_factory=list)
    """For each lattice and datatake, the position of the location, and columns of the patch table."""


def strategy_of(config: PlanConfig) -> Strategy:
    """The placement strategy that the configuration names."""
    return {
        "shelves": shelves,
        "lattice": fixed_lattice,
        "greedy": greedy,
        "algorithm1": algorithm1(config.kept_tuples),
    }[config.strategy]


def plan_component(
    tiles: Sequence[Tile],
    mask_of: Callable[[Tile], Mask | None],
    config: PlanConfig,
    quality: QualityConfig,
    size: int = WINDOW,
    held: Mapping[int, Held] = NOTHING_HELD,
    region: BaseGeometry | None = None,
) -> ComponentPlan:
    """Plan a component, tiles that touch each other.

    Args:
        tiles: all tiles of the component.
        mask_of: returns the mask [line, col] of a tile; None if only its footprint is known.
        config: settings of the plan.
        quality: limits of a clear window.
        size: edge of a window in pixels.
        held: windows that the dataset already has, by lattice. The result describes them with all dates they have now.
            No other window overlaps them.
        region: polygons in longitude and latitude; only windows whose centre is inside are used.
    """
    result = ComponentPlan()
    shared: dict[tuple[str, str], int] = defaultdict(int)
    members: dict[int, tuple[ComponentOnLattice, Spacing | None]] = {}
    for ground in on_each_lattice(tiles, mask_of, quality, size, region):
        for pair, windows in _shared(ground).items():
            shared[pair] += windows
        result.tuples.extend(_tuples(ground.epsg, ground.depth, ground.datatakes, size))
        rule = spacing([d.day for d in ground.datatakes], config.min_days_apart, config.one_a_season)
        if rule is not None:
            ground = replace(ground, depth=ground.depth.choosing(rule))
        members[ground.epsg] = ground, rule
    by_tile = config.strategy == "algorithm1"
    problems = {
        epsg: ground.problem(worth_of(config.value, config.min_dates, len(ground.datatakes)), by_tile)
        for epsg, (ground, _) in members.items()
    }
    there = {epsg: windows.anchors for epsg, windows in held.items()}
    for epsg, new in place(problems, strategy_of(config), there).items():
        ground, rule = members[epsg]
        if epsg in held:
            dates = held[epsg].counted(ground.depth, rule, [d.name for d in ground.datatakes])
            _describe(
                result, epsg, anchors=held[epsg].anchors, seen=dates, datatakes=ground.datatakes, size=size
            )
        _describe(
            result, epsg, anchors=new, seen=ground.depth.counted(new), datatakes=ground.datatakes, size=size
        )
    result.overlaps.extend({"tile_a": a, "tile_b": b, "windows": n} for (a, b), n in sorted(shared.items()))
    return result


@dataclass(frozen=True, eq=False)
class ComponentOnLattice:
    """A component on one lattice, the input of every strategy."""

    epsg: int
    datatakes: list[Datatake]
    depth: Coverage
    """Depth of the datatakes' anchors."""
    size: int = WINDOW
    """Edge of a window."""

    @cached_property
    def inside(self) -> list[tuple[View, Region]]:
        """For each tile, the anchors of the clear windows that are entirely inside it."""
        return _tile_anchors(self.datatakes, self.size)

    def problem(self, worth: Worth, by_tile: bool = True) -> Problem:
        """The problem for a strategy; ``worth`` comes from `worth_of`. Most strategies do not look ``by_tile``."""
        inside = self.inside if by_tile else []
        regions = tuple(region for _, region in inside)
        return Problem(self.depth, worth, self.size, regions, tuple(v.tile.datatake for v, _ in inside))


def on_each_lattice(
    tiles: Sequence[Tile],
    mask_of: Callable[[Tile], Mask | None],
    quality: QualityConfig,
    size: int = WINDOW,
    region: BaseGeometry | None = None,
) -> Iterator[ComponentOnLattice]:
    """Yield the lattices of a component that have windows, in order; for the arguments, see `plan_component`."""
    for epsg, views in sorted(_views(tiles, mask_of, quality, size).items()):
        lines = union([v.valid for v in views]).box
        home = owned(epsg, lines.line, lines.stop_line, size)
        if region is not None:  # anchors are half a window up and left of the centres
            home = home & region_of_footprint(region, epsg).moved(-size // 2, -size // 2)
        datatakes = _joined(views, home, quality, size)
        if datatakes:
            depth = cover([d.anchors for d in datatakes], [d.name for d in datatakes])
            yield ComponentOnLattice(epsg, datatakes, depth, size)


def _views(
    tiles: Sequence[Tile], mask_of: Callable[[Tile], Mask | None], quality: QualityConfig, size: int
) -> dict[int, list[View]]:
    """The views of the tiles on every lattice that owns some of their ground."""
    found: dict[int, list[View]] = defaultdict(list)
    for tile in tiles:
        mask = mask_of(tile)
        for epsg in zones_of(tile.footprint):
            seen = view(tile, mask, epsg, quality.cirrus_level, size)
            if seen.valid:
                found[epsg].append(seen)
    return found


def _joined(views: list[View], home: Region, quality: QualityConfig, size: int) -> list[Datatake]:
    by_name: dict[str, list[View]] = defaultdict(list)
    for each in views:
        by_name[each.tile.datatake].append(each)
    joined = [join(name, members, home, quality, size) for name, members in sorted(by_name.items())]
    return [datatake for datatake in joined if datatake.anchors]


def _tile_anchors(datatakes: Sequence[Datatake], size: int) -> list[tuple[View, Region]]:
    """For each tile, the anchors of the clear windows that are entirely inside it."""
    inside = [
        (v, v.valid.anchors(size) & d.anchors if len(d.views) > 1 else d.anchors)
        for d in datatakes
        for v in d.views
    ]
    return [(v, region) for v, region in inside if region]


def _shared(ground: ComponentOnLattice) -> dict[tuple[str, str], int]:
    if len(ground.datatakes) < 2:
        return {}
    inside = ground.inside
    names = [v.tile.tile_id for v, _ in inside]
    pairs = shared_windows([r for _, r in inside], names, [v.tile.datatake for v, _ in inside])
    return {
        (names[i], names[j]) if names[i] < names[j] else (names[j], names[i]): n
        for (i, j), n in pairs.items()
    }


def _tuples(epsg: int, depth: Coverage, datatakes: Sequence[Datatake], size: int) -> Rows:
    found = faces(depth)
    shapes = outlines([face.runs for face in found], shift=size / 2, tolerance=1.0)
    parts = [[_Part(v.tile.tile_id, own) for v, own in zip(d.views, d.own, strict=True)] for d in datatakes]
    return [
        {
            "epsg": epsg,
            "n": len(face.members),
            "datatakes": [datatakes[i].name for i in face.members],
            "tiles": _reaching([parts[i] for i in face.members], face, size),
            "windows": face.area,
            "outline": shape,
        }
        for face, shape in zip(found, shapes, strict=True)
    ]


class _Part:
    """The pixels that one tile provides."""

    def __init__(self, tile_id: str, own: Region) -> None:
        """Note where they are."""
        self.tile_id, self.own, box = tile_id, own, own.box
        self.first, self.stop, self.west, self.east = box.line, box.stop_line, box.col, box.stop_col


def _reaching(datatakes: Sequence[Sequence[_Part]], face: Face, size: int) -> list[str]:
    """The tiles of these datatakes that provide pixels to some window of a face, sorted."""
    box = Region(face.runs).box
    first, stop, west, east = box.line, box.stop_line + size - 1, box.col, box.stop_col + size - 1
    found = []
    for parts in datatakes:
        if len(parts) == 1:
            found.append(parts[0].tile_id)
            continue
        for each in parts:
            near = each.first < stop and each.stop > first and each.west < east and each.east > west
            if near and touches(each.own.runs, face.runs, size):
                found.append(each.tile_id)
    return sorted(found)


def _describe(
    result: ComponentPlan,
    epsg: int,
    anchors: Points,
    seen: Flags,
    datatakes: Sequence[Datatake],
    size: int,
) -> None:
    """Add the locations at ``anchors`` and their patches: one for each datatake that is ``seen`` there."""
    if len(anchors) == 0:
        return
    order = np.lexsort(anchors.T[::-1])
    anchors, seen = anchors[order], seen[order]
    result.locations.append(_places(epsg, anchors) | {"n": seen.sum(axis=1).astype(np.int32)})
    for datatake, here in zip(datatakes, seen.T, strict=True):
        if here.any():
            result.patches.append(_patches(epsg, datatake, anchors[here], size))


def _places(epsg: int, anchors: Points) -> Columns:
    return {"epsg": np.full(len(anchors), epsg, np.int32), **columns_of(*anchors.T)}


def _patches(epsg: int, datatake: Datatake, anchors: Points, size: int) -> Columns:
    shares = datatake.shares(anchors, size)
    fractions = datatake.fractions(anchors, size)
    tiles = np.array([v.tile.tile_id for v in datatake.views], object)
    patterns, which = _patterns(shares > 0)
    sources = np.empty(len(patterns), object)
    sources[:] = [tiles[gives].tolist() for gives in patterns]
    foreign = (patterns & np.array([not v.native for v in datatake.views])).any(axis=1)
    return {
        **_places(epsg, anchors),
        "datatake": np.full(len(anchors), datatake.name, object),
        "tile_id": tiles[shares.argmax(axis=1)],
        "sources": sources[which],
        "resampled": foreign[which],
        **{f"{flag}_fraction": fractions[flag] for flag in FLAGS if flag != "thick_cirrus"},
    }


def _patterns(flags: Flags) -> tuple[Flags, npt.NDArray[np.int64]]:
    """The different rows of flags, and the number of each row among them."""
    if flags.shape[1] == 1:
        return flags[:1], np.zeros(len(flags), np.int64)
    packed = np.packbits(flags, axis=1)
    _, first, which = np.unique(
        packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True
    )
    return flags[first], which
