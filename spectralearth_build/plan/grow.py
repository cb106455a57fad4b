"""Grow a plan: find the components that new tiles touch, and the existing windows in them.

A dataset before its first plan is empty, so the first plan is a growth like any other. Existing locations, store rows
and shards do not change. Touched components are planned again around their windows: datatakes that now cover an
existing window join its series, and new windows are placed in the remaining area.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import networkx as nx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from spectralearth_build.columns import Table
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.lattice import anchors_of
from spectralearth_build.plan.before import Before, Retiring, counted, is_live, stale_patches
from spectralearth_build.plan.component import Held
from spectralearth_build.tables import LOCATIONS, PATCHES, TUPLES

_PLACE = ["component", "geometry"]


@dataclass(frozen=True)
class Touched:
    """A component to plan again, or for the first time."""

    number: int
    """Its new number: the smallest of its old numbers, or else the next free number."""
    members: tuple[int, ...]
    """Its tiles, as row numbers of the candidates."""
    replaces: frozenset[int]
    """Old numbers of the components that it contains."""


def touched(
    candidates: gpd.GeoDataFrame, changed: Collection[str], before: Before, retiring: Retiring
) -> tuple[list[Touched], frozenset[int]]:
    """Find the components in which a tile is new or replaced.

    Components merge but never split: tiles of the same component stay together. A tile without a window has no
    component yet.

    Args:
        candidates: all tiles that may be used, old and new, sorted by tile_id.
        changed: ids of tiles that are new or replaced.
        before: the dataset so far.
        retiring: the patches that become stale.

    Returns:
        The components, and the old numbers whose overlaps and tuples are outdated.
    """
    number_of = _numbers(before)
    names = candidates["tile_id"].tolist()
    gone = frozenset(number_of[name] for name in changed if name in number_of)
    following = 1 + max((_largest(before, table) for table in (TUPLES, LOCATIONS)), default=-1)
    found = []
    for members, old in _groups(candidates, number_of, bare_locations(before, retiring)):
        if old.isdisjoint(gone) and not any(names[i] in changed for i in members):
            continue
        if not old:
            following += 1
        found.append(Touched(min(old, default=following - 1), tuple(members), old))
    return found, gone.union(*(each.replaces for each in found))


def bare_locations(before: Before, retiring: Retiring) -> pa.Table:
    """Component and geometry of the locations that have no dates, or none that stays."""
    losing = pc.unique(retiring.stale["location_id"])
    standing: set[str] = set()
    if len(losing):
        for rows in before.rows(PATCHES, ["location_id", "sources", "status"]):
            stays = pa.array(counted(rows) & ~stale_patches(rows, retiring.tiles))
            names = rows["location_id"].filter(stays)
            standing.update(names.filter(pc.is_in(names, losing)).to_pylist())
    lost = pa.array({*losing.to_pylist()} - standing, pa.string())
    found = [LOCATIONS.schema.empty_table().select(_PLACE)]
    for rows in before.rows(LOCATIONS, ["location_id", "n", *_PLACE]):
        bare = pc.or_(pc.equal(rows["n"], 0), pc.is_in(rows["location_id"], lost))
        found.append(rows.filter(bare).select(_PLACE))
    return pa.concat_tables(found)


def windows_of(before: Before, retiring: Retiring, groups: Sequence[Touched]) -> list[dict[int, Held]]:
    """The existing windows of each component, by lattice, with the dates that stay.

    Args:
        before: the dataset so far.
        retiring: the patches that become stale.
        groups: the components.
    """
    found: list[dict[int, Held]] = [{} for _ in groups]
    group_of = {old: k for k, group in enumerate(groups) for old in group.replaces}
    if not group_of:
        return found
    numbers = pa.array(group_of, pa.int64())
    columns = [name for name in LOCATIONS.schema.names if name != "geometry"]
    here = pa.concat_tables(
        rows.filter(pc.is_in(rows["component"], numbers)) for rows in before.rows(LOCATIONS, columns)
    )
    wanted = here["location_id"].combine_chunks()
    near = []
    for rows in before.rows(PATCHES, ["location_id", "datatake", "sources", "status"]):
        stays = pa.array(is_live(rows) & ~stale_patches(rows, retiring.tiles))
        inside = pc.and_(pc.is_in(rows["location_id"], wanted), stays)
        near.append(rows.select(["location_id", "datatake"]).filter(inside))
    dates = pa.concat_tables(near).to_pandas().groupby("location_id")["datatake"].agg(frozenset).to_dict()
    places = here.to_pandas()
    for (k, epsg), part in places.groupby([places["component"].map(group_of), "epsg"]):
        found[k][int(epsg)] = _held(part, dates)
    return found


def _held(locations: pd.DataFrame, dates: Mapping[str, frozenset[str]]) -> Held:
    return Held(
        anchors_of(locations), tuple(dates.get(name, frozenset()) for name in locations["location_id"])
    )


def _numbers(before: Before) -> dict[str, int]:
    """The component of each tile that has windows."""
    found = dict[str, int]()
    for rows in before.rows(TUPLES, ["tiles", "component"]):
        tiles = rows["tiles"].combine_chunks()
        component = rows["component"].take(pc.list_parent_indices(tiles))
        found |= zip(tiles.flatten().to_pylist(), component.to_pylist(), strict=True)
    return found


def _largest(before: Before, table: Table) -> int:
    """The largest number of a component in a table; -1 if it has no rows."""
    numbers = (pc.max(rows["component"]).as_py() for rows in before.rows(table, ["component"]) if len(rows))
    return max(numbers, default=-1)


def _groups(
    candidates: gpd.GeoDataFrame, number_of: Mapping[str, int], bare: pa.Table
) -> list[tuple[list[int], frozenset[int]]]:
    """Groups of tiles that touch or were in one component, in order of their first tile, with old component numbers.

    A location without dates may have no tile any more. It keeps its position, and belongs to the group that touches it.
    """
    tiles = len(candidates)
    numbers = [*map(number_of.get, candidates["tile_id"]), *bare["component"].to_pylist()]
    windows = shapely.from_wkb(bare["geometry"].to_numpy())
    graph = nx.Graph()
    for k, group in enumerate(components([*candidates.geometry, *windows])):
        graph.add_node(("now", k), tiles=[i for i in group if i < tiles])
        graph.add_edges_from((("now", k), ("before", numbers[i])) for i in group if numbers[i] is not None)
    found = []
    for part in nx.connected_components(graph):
        members = sorted(i for node in part for i in graph.nodes[node].get("tiles", ()))
        if members:
            found.append((members, frozenset(number for kind, number in part if kind == "before")))
    return sorted(found, key=lambda each: each[0])
