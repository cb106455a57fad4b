"""A plain version of SpectralEarth's Algorithm 1: footprints are polygons, and windows are cut from a grid.

The version in `plan` intersects runs of pixels and packs each tuple as tightly as possible, line by line. The paper
describes a simpler method: polygons are intersected, and each intersection is cut into a grid from its upper left
corner, without windows that are not completely inside or overlap an earlier one. The exact method is not published. The
two versions are the best and the worst reading of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.overlap.lattice import col_at, line_at
from spectralearth_build.overlap.region import Points
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.plan.component import ComponentOnLattice
from spectralearth_build.plan.problem import Problem

Geometries = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class PolygonTuple:
    """Tiles of different datatakes, and the ground that all of them cover, in pixels of a lattice."""

    tiles: tuple[int, ...]
    shape: BaseGeometry


def laid_out(problem: Problem, shapes: Geometries, kept: int) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return windows of a lattice, and the n of the tuple of each: its number of dates according to the paper.

    Args:
        problem: the placement problem of the lattice.
        shapes: footprints of its tiles (see `footprints_of`).
        kept: number of tuples to keep for each n.
    """
    placed, dates = np.empty((0, 2), np.int32), [np.empty(0, np.int64)]
    worthy = problem.worthy().region()
    for level in reversed(grow(shapes, problem.tile_datatakes, kept, problem.size)):
        for each in sorted(level, key=_by_area):
            grid = _grid(each.shape, problem.size)
            free = grid[worthy.contains(grid) & ~_meets(grid, placed, problem.size)]
            placed = np.concatenate([placed, free])
            dates.append(np.full(len(free), len(each.tiles), np.int64))
    return placed, np.concatenate(dates)


def grow(shapes: Geometries, datatakes: Sequence[str], kept: int, size: int) -> list[list[PolygonTuple]]:
    """Return for n = 1, 2, ... the ``kept`` largest n-tuples that share at least a window's area (all for n = 1)."""
    level = [PolygonTuple((i,), shape) for i, shape in enumerate(shapes)]
    levels = []
    while level:
        levels.append(level)
        level = sorted(_grown(level, shapes, datatakes, size), key=_by_area)[:kept]
    return levels


def _grown(
    level: list[PolygonTuple], shapes: Geometries, datatakes: Sequence[str], size: int
) -> list[PolygonTuple]:
    found: dict[tuple[int, ...], PolygonTuple] = {}
    for each in level:
        taken = {datatakes[i] for i in each.tiles}
        others = [
            i
            for i, name in enumerate(datatakes)
            if name not in taken and tuple(sorted((*each.tiles, i))) not in found
        ]
        common = shapely.intersection(each.shape, shapes[others])
        for i, shape in zip(others, common, strict=True):
            if shape.area >= size**2:
                tiles = tuple(sorted((*each.tiles, i)))
                found[tiles] = PolygonTuple(tiles, shape)
    return list(found.values())


def _by_area(each: PolygonTuple) -> tuple[float, tuple[int, ...]]:
    return -each.shape.area, each.tiles


def footprints_of(ground: ComponentOnLattice) -> Geometries:
    """Return the footprints of tiles in pixels of a lattice, with y down."""

    def project(points: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        x, y = transformer(4326, ground.epsg).transform(points[:, 0], points[:, 1])
        return np.stack([col_at(np.asarray(x)), line_at(np.asarray(y))], axis=1)

    footprints = np.array([v.tile.footprint for v, _ in ground.inside], object)
    return np.asarray(shapely.transform(footprints, project), object)


def _grid(shape: BaseGeometry, size: int) -> Points:
    """Return windows on a grid from the upper left corner of a shape's bounding box that are completely inside."""
    left, top, right, bottom = shape.bounds
    cols = np.arange(np.ceil(left), right - size + 1, size)
    lines = np.arange(np.ceil(top), bottom - size + 1, size)
    line, col = (each.ravel() for each in np.meshgrid(lines, cols, indexing="ij"))
    shapely.prepare(shape)
    inside = shapely.contains(shape, shapely.box(col, line, col + size, line + size))
    return np.asarray(np.stack([line, col], axis=1)[inside], np.int32)


def _meets(grid: Points, placed: Points, size: int) -> npt.NDArray[np.bool_]:
    """Return which windows overlap any placed one."""
    apart = np.abs(grid[:, np.newaxis].astype(np.int64) - placed[np.newaxis])
    return np.asarray((apart < size).all(axis=2).any(axis=1), np.bool_)
