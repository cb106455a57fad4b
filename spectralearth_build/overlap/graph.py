"""The overlap graph, and components of touching tiles.

There are two relations. *Touching* tiles (tiles with common ground, whatever the datatake) must be planned together,
because a window of one could overlap a window of the other. The connected components of this relation are called
``component`` in the tables. *Edges* of the overlap graph join tiles of different datatakes that share at least one
whole window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

from spectralearth_build.overlap.connected import connected
from spectralearth_build.overlap.coverage import cover
from spectralearth_build.overlap.region import Region

MARGIN_DEGREES = 0.001
"""Footprints are buffered by about 100 m, because their straight edges bend between projections (at most about 60 m
over a swath). So a component may be larger than needed, but never too small."""


def components(footprints: Sequence[shapely.Geometry]) -> list[list[int]]:
    """Group footprints (longitude, latitude) that touch, directly or through others.

    Returns:
        Groups of indices, each sorted, in order of their smallest index.
    """
    group = connected(touching(footprints), len(footprints))
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(group) else []
    return [part.tolist() for part in parts]


def touching(footprints: Sequence[shapely.Geometry]) -> npt.NDArray[np.int64]:
    """Pairs of indices of footprints with common ground, also across the antimeridian: [n, 2]."""
    shapes = np.asarray(footprints, dtype=object)
    latitude = np.radians(np.clip(np.abs(shapely.bounds(shapes)[:, [1, 3]]).max(axis=1), 0, 85))
    grown = shapely.buffer(shapes, MARGIN_DEGREES / np.cos(latitude), quad_segs=1)
    bounds = shapely.bounds(grown)
    east, west = np.flatnonzero(bounds[:, 2] > 180), np.flatnonzero(bounds[:, 0] < -180)
    turned = [_turned(grown[east], -360), _turned(grown[west], 360)]
    every = np.concatenate([grown, *turned])
    owner = np.concatenate([np.arange(len(grown)), east, west])
    near = shapely.STRtree(every).query(every)
    near = near[:, near[0] < near[1]]  # each pair once, before the shapes are compared
    pairs = np.sort(owner[near[:, shapely.intersects(every[near[0]], every[near[1]])]].T, axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def _turned(shapes: npt.NDArray[np.object_], degrees: float) -> npt.NDArray[np.object_]:
    return np.asarray(shapely.transform(shapes, lambda points: points + [degrees, 0]))


def shared_windows(
    regions: Sequence[Region], names: Sequence[str], datatakes: Sequence[str]
) -> dict[tuple[int, int], int]:
    """Count the windows that each pair of tiles of different datatakes shares.

    Args:
        regions: for each tile, the anchors of the clear windows entirely inside it.
        names: the tile of each region.
        datatakes: the datatake of each region.

    Returns:
        Number of windows by pair of indices (i < j); only pairs with at least one.
    """
    if len(set(datatakes)) < 2:
        return {}
    covered = cover(regions, names)
    covered = covered.where(covered.depth > 1)
    if len(covered.segments) == 0:
        return {}
    _, first, which = np.unique(covered.key, return_index=True, return_inverse=True)
    area = np.bincount(which, covered.segments[:, 2] - covered.segments[:, 1])
    members = covered.members(covered.segments[first, :2])
    depth = members.sum(axis=1)
    pairs, windows = [], []
    for n in np.unique(depth).tolist():  # a set of few tiles has few pairs, however many tiles there are
        here = depth == n
        tiles = np.nonzero(members[here])[1].reshape(-1, n)
        i, j = np.triu_indices(n, 1)
        pairs.append((tiles[:, i] * len(regions) + tiles[:, j]).ravel())
        windows.append(np.repeat(area[here], len(i)))
    pair, which = np.unique(np.concatenate(pairs), return_inverse=True)
    i, j = np.divmod(pair, len(regions))
    found = np.bincount(which, np.concatenate(windows)).astype(np.int64)  # exact: far below 2^53
    take = np.unique(datatakes, return_inverse=True)[1]
    kept = np.flatnonzero(take[i] != take[j])
    return {(i[k], j[k]): n for k, n in zip(kept, found[kept].tolist(), strict=True)}
