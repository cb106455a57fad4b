"""The regions of the earth that a dataset covers, each of which gets its own map.

Longitudes increase from the west edge of a region and may exceed 180 degrees, so a region across the antimeridian is as
compact as any other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product

import networkx as nx
import numpy as np
import numpy.typing as npt
import shapely

Degrees = npt.NDArray[np.float64]
CELL = 0.5
"""Edge of the cells that are merged into regions, in degrees."""
LARGEST = 4.0
"""Maximum extent of a region, in degrees of latitude. Larger ones are divided, since windows would be too small to
see."""


@dataclass(frozen=True)
class MapRegion:
    """A rectangle in degrees; ``east`` may exceed 180."""

    west: float
    south: float
    east: float
    north: float

    @property
    def center(self) -> tuple[float, float]:
        """Return longitude and latitude of the centre."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    @property
    def aspect(self) -> float:
        """Return the length of a degree of latitude relative to one of longitude, at the centre."""
        return float(1 / max(np.cos(np.radians(self.center[1])), 0.1))

    def grown(self, share: float, least: float) -> MapRegion:
        """Return the region with a margin on each side: a share of its size, but at least ``least`` degrees."""
        dx = max(share * (self.east - self.west), least * self.aspect)
        dy = max(share * (self.north - self.south), least)
        return MapRegion(self.west - dx, max(self.south - dy, -90), self.east + dx, min(self.north + dy, 90))

    def fitted(self, ratio: float) -> MapRegion:
        """Return the region, widened or heightened around its centre until its width is ``ratio`` times its height."""
        (x, y), aspect = self.center, self.aspect
        half_height = max(self.north - self.south, (self.east - self.west) / aspect / ratio) / 2
        half_width = half_height * aspect * ratio
        return MapRegion(x - half_width, y - half_height, x + half_width, y + half_height)

    def contains(self, longitudes: Degrees, latitudes: Degrees) -> npt.NDArray[np.bool_]:
        """Return which points are in the region."""
        lon = longitudes + self.shift(longitudes)
        inside: npt.NDArray[np.bool_] = (lon >= self.west) & (lon <= self.east)
        return inside & (latitudes >= self.south) & (latitudes <= self.north)

    def shift(self, longitudes: Degrees) -> Degrees:
        """Return the offsets (0, 360, -360 ...) that bring each longitude into the region, or closest to it."""
        return np.asarray(-360 * np.round((longitudes - self.center[0]) / 360))


def pieces(geometry: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Return the polygons of geometries, and for each the index of its geometry. Empty geometries have none."""
    one = shapely.get_type_id(geometry) == shapely.GeometryType.POLYGON
    whole, several = np.flatnonzero(one), np.flatnonzero(~one)
    inner, of = shapely.get_parts(
        geometry[several], return_index=True
    )  # copies them, so not the millions of others
    parts, owner = np.concatenate([geometry[whole], inner]), np.concatenate([whole, several[of]])
    order = np.argsort(owner, kind="stable")
    parts, owner = parts[order], owner[order]
    sound = ~shapely.is_empty(parts) & np.isfinite(shapely.bounds(parts)).all(axis=1)
    return parts[sound], owner[sound]


def enclosing(parts: npt.NDArray[np.object_]) -> MapRegion:
    """Return the smallest region around polygons. It begins after the widest gap in longitude."""
    west, south, east, north = shapely.bounds(parts).T
    order = np.argsort(west)
    reach = np.maximum.accumulate(east[order])
    gaps = np.append(west[order][1:], west[order][0] + 360) - reach
    widest = int(np.argmax(gaps))
    if widest == len(order) - 1:
        start, stop = west[order][0], reach[-1]
    else:
        start, stop = west[order][widest + 1], reach[widest] + 360
    return MapRegion(float(start), float(south.min()), float(stop), float(north.max()))


def split(parts: npt.NDArray[np.object_]) -> list[npt.NDArray[np.int64]]:
    """Group polygons into regions whose cells touch, also across the antimeridian. Large regions are divided.

    Returns:
        Indices of the polygons of each region, the largest region first.
    """
    lon, lat = middles(parts)
    columns = round(360 / CELL)
    members: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, (x, y) in enumerate(zip(lon, lat, strict=True)):
        members[int((x + 180) // CELL) % columns, int((y + 90) // CELL)].append(k)
    graph = nx.Graph()
    graph.add_nodes_from(members)
    for (i, j), (di, dj) in product(members, product((-1, 0, 1), repeat=2)):
        neighbour = ((i + di) % columns, j + dj)
        if neighbour in members:
            graph.add_edge((i, j), neighbour)
    joined = [
        np.array(sorted(k for cell in cells for k in members[cell]))
        for cells in nx.connected_components(graph)
    ]
    groups = [part for group in joined for part in _divided(parts, group)]
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))


def middles(parts: npt.NDArray[np.object_]) -> Degrees:
    """Return longitude and latitude [2, part] of the centre of each polygon's bounding box."""
    return np.asarray(shapely.bounds(parts).reshape(-1, 2, 2).mean(axis=1).T)


def _divided(parts: npt.NDArray[np.object_], group: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Halve a group across its longer side until none is larger than `LARGEST`."""
    region = enclosing(parts[group])
    height, width = region.north - region.south, (region.east - region.west) / region.aspect
    lon, lat = middles(parts[group])
    first = lat < region.center[1] if height > width else lon + region.shift(lon) < region.center[0]
    if max(height, width) <= LARGEST or first.all() or not first.any():
        return [group]
    return [*_divided(parts, group[first]), *_divided(parts, group[~first])]
