"""Plan one component: from the masks of its tiles to overlaps, tuples, locations and patches. A pure function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from spectralearth_build.archive.mask import Mask
from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.overlap.cover import Cover, cover, faces
from spectralearth_build.overlap.datatake import Datatake, join
from spectralearth_build.overlap.graph import shared_windows
from spectralearth_build.overlap.lattice import WINDOW, Box, window
from spectralearth_build.overlap.polygon import outline
from spectralearth_build.overlap.region import Points, Region, union
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.overlap.runs import touches
from spectralearth_build.overlap.view import Tile, View, view
from spectralearth_build.overlap.zones import owned, zones_of
from spectralearth_build.plan.algorithm1 import algorithm1
from spectralearth_build.plan.fixed_lattice import fixed_lattice
from spectralearth_build.plan.problem import Problem, Strategy, worth_of
from spectralearth_build.plan.shelves import shelves

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ComponentPlan:
    """What was planned for one component, as rows of the tables (without geometry, times and store rows)."""

    overlaps: Rows = field(default_factory=list)
    tuples: Rows = field(default_factory=list)
    locations: Rows = field(default_factory=list)
    patches: Rows = field(default_factory=list)


def strategy_of(config: PlanConfig) -> Strategy:
    """The placement strategy that the configuration names."""
    return {"shelves": shelves, "lattice": fixed_lattice, "algorithm1": algorithm1(config.kept_tuples)}[
        config.strategy
    ]


def plan_component(
    tiles: Sequence[Tile],
    mask_of: Callable[[Tile], Mask | None],
    config: PlanConfig,
    quality: QualityConfig,
    size: int = WINDOW,
) -> ComponentPlan:
    """Plan tiles that touch each other.

    Args:
        tiles: all tiles of the component.
        mask_of: gives the mask [line, col] of a tile; None if it is known by its footprint only.
        config: strategy and value.
        quality: what counts as clear.
        size: edge of a window in pixels.
    """
    result = ComponentPlan()
    shared: dict[tuple[str, str], int] = defaultdict(int)
    placed: dict[int, Points] = {}
    for epsg, views in sorted(_views(tiles, mask_of, quality, size).items()):
        lines = union([v.valid for v in views]).box
        home = owned(epsg, lines.line, lines.stop_line, size)
        datatakes = _joined(views, home, quality, size)
        if not datatakes:
            continue
        depth = cover([d.anchors for d in datatakes], [d.name for d in datatakes])
        inside = _tile_anchors(datatakes, size)
        for pair, windows in _shared(inside).items():
            shared[pair] += windows
        result.tuples.extend(_tuples(epsg, depth, datatakes, size))
        worth = worth_of(config.value, config.min_dates, len(datatakes))
        problem = Problem(
            depth,
            worth,
            size,
            tuple(region for _, region in inside),
            tuple(v.tile.datatake for v, _ in inside),
        )
        blocked = union([_shadow(anchors, other, epsg, size) for other, anchors in placed.items()])
        placed[epsg] = strategy_of(config)(problem.without(blocked) if blocked else problem)
        _describe(result, epsg, placed[epsg], depth, datatakes, size)
    result.overlaps.extend({"tile_a": a, "tile_b": b, "windows": n} for (a, b), n in sorted(shared.items()))
    return result


def _views(
    tiles: Sequence[Tile], mask_of: Callable[[Tile], Mask | None], quality: QualityConfig, size: int
) -> dict[int, list[View]]:
    """The tiles on every lattice that owns some of their ground."""
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
    """For each tile, the anchors of the clear windows that lie wholly inside it."""
    inside = [
        (v, v.valid.anchors(size) & d.anchors if len(d.views) > 1 else d.anchors)
        for d in datatakes
        for v in d.views
    ]
    return [(v, region) for v, region in inside if region]


def _shared(inside: Sequence[tuple[View, Region]]) -> dict[tuple[str, str], int]:
    tiles = [v.tile for v, _ in inside]
    pairs = shared_windows([r for _, r in inside], [t.tile_id for t in tiles], [t.datatake for t in tiles])
    named = {(tiles[i].tile_id, tiles[j].tile_id): n for (i, j), n in pairs.items()}
    return {(min(pair), max(pair)): n for pair, n in named.items()}


def _tuples(epsg: int, depth: Cover, datatakes: Sequence[Datatake], size: int) -> Rows:
    rows = []
    for face in faces(depth):
        members = [datatakes[i] for i in face.members]
        tiles = [
            v.tile.tile_id
            for d in members
            for v, own in zip(d.views, d.own, strict=True)
            if len(d.views) == 1 or touches(own.runs, face.runs, size)
        ]
        rows.append(
            {
                "epsg": epsg,
                "n": len(members),
                "datatakes": [d.name for d in members],
                "tiles": sorted(tiles),
                "windows": face.area,
                "outline": outline(face.runs, shift=size / 2, tolerance=1.0),
            }
        )
    return rows


def _shadow(anchors: Points, other: int, epsg: int, size: int) -> Region:
    """Anchors of ``epsg`` whose windows could overlap windows placed on another zone's lattice."""
    boxes = [_box_on(window(line, col, size), other, epsg) for line, col in anchors.tolist()]
    return union(
        [Region.from_box(Box(b.line - size, b.col - size, b.height + size, b.width + size)) for b in boxes]
    )


def _box_on(box: Box, epsg: int, target: int) -> Box:
    """The smallest box of another lattice around a box."""
    edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*box.bounds), 960))
    x, y = transformer(epsg, target).transform(*edge.T)
    col, line = int(np.floor((np.min(x) - 15) / 30)), int(np.floor((15 - np.max(y)) / 30))
    stop_col, stop_line = int(np.ceil((np.max(x) - 15) / 30)), int(np.ceil((15 - np.min(y)) / 30))
    return Box(line, col, stop_line - line, stop_col - col)


def _describe(
    result: ComponentPlan, epsg: int, anchors: Points, depth: Cover, datatakes: Sequence[Datatake], size: int
) -> None:
    """Add the locations at ``anchors`` and their patches."""
    anchors = anchors[np.lexsort(anchors.T[::-1])]
    names = [f"{epsg}_{col}_{-line}" for line, col in anchors.tolist()]
    seen = depth.members(anchors)
    for name, (line, col), n in zip(names, anchors.tolist(), seen.sum(axis=1).tolist(), strict=True):
        result.locations.append(
            {"location_id": name, "epsg": epsg, "lattice_col": col, "lattice_row": -line, "n": n}
        )
    for datatake, here in zip(datatakes, seen.T, strict=True):
        points = anchors[here]
        if len(points):
            where = [names[i] for i in np.flatnonzero(here)]
            result.patches.extend(_patches(datatake, where, points, size))


def _patches(datatake: Datatake, locations: list[str], points: Points, size: int) -> Rows:
    shares = datatake.shares(points, size)
    fractions = datatake.fractions(points, size)
    rows = []
    for k, location in enumerate(locations):
        givers = [v for v, share in zip(datatake.views, shares[k], strict=True) if share > 0]
        rows.append(
            {
                "patch_id": f"{location}_{datatake.name}",
                "location_id": location,
                "tile_id": datatake.views[int(np.argmax(shares[k]))].tile.tile_id,
                "sources": [v.tile.tile_id for v in givers],
                "datatake": datatake.name,
                "resampled": any(not v.native for v in givers),
                **{
                    f"{flag}_fraction": float(fractions[flag][k])
                    for flag in ("cloud", "shadow", "haze", "cirrus", "snow", "water")
                },
            }
        )
    return rows
