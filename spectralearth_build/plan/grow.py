"""Grow a plan: find the components that new tiles touch, and join their new rows with existing ones. Pure functions.

A dataset before its first plan is empty, so the first plan is a growth like any other. Existing locations, store rows
and shards do not change. Touched components are planned again around their windows: datatakes that now cover an
existing window join its series, and new windows are placed in the remaining area.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.lattice import anchors_of
from spectralearth_build.plan.assemble import NO_TABLES, Known, PlanTables, by_component, replaced
from spectralearth_build.plan.component import Held
from spectralearth_build.plan_document import Generation, Inputs

RETIRED = PatchStatus.RETIRED
COUNTED = pa.array([PatchStatus.PLANNED, PatchStatus.WRITTEN])
"""Statuses with which a patch counts as a date of its location."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Before:
    """A planned dataset before it grows; by default, one without a plan."""

    inputs: Inputs = field(default_factory=lambda: Inputs(settings={}, tiles={}))
    """Settings and tiles of its plan."""
    generations: tuple[Generation, ...] = ()
    """Its generations so far, as in plan.json."""
    tables: PlanTables = NO_TABLES
    """Its tables."""

    @property
    def id(self) -> str:
        """Id of the last generation; empty if there is none."""
        return self.generations[-1].id if self.generations else ""

    @property
    def shards(self) -> int:
        """Number of planned shards."""
        return self.generations[-1].stop_shard if self.generations else 0

    def known(self, standing: pa.Table) -> Known:
        """The locations and patches not to plan again; ``standing`` are the patches that stay."""
        places, names = self.tables.locations["location_id"], standing["patch_id"]
        return Known(places.combine_chunks(), names.combine_chunks(), self.shards, len(self.generations))


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
    candidates: gpd.GeoDataFrame, changed: Collection[str], tables: PlanTables
) -> tuple[list[Touched], frozenset[int]]:
    """Find the components in which a tile is new or replaced.

    Components merge but never split: tiles of the same component stay together. A tile without a window has no
    component yet.

    Args:
        candidates: all tiles that may be used, old and new, sorted by tile_id.
        changed: ids of tiles that are new or replaced.
        tables: the tables so far.

    Returns:
        The components, and the old numbers whose overlaps and tuples are outdated.
    """
    number_of = _numbers(tables.tuples)
    names = candidates["tile_id"].tolist()
    stale = frozenset(number_of[name] for name in changed if name in number_of)
    following = 1 + max((pc.max(table["component"]).as_py() for table in _numbered(tables)), default=-1)
    found = []
    for members, old in _groups(candidates, number_of, tables.locations):
        if old.isdisjoint(stale) and not any(names[i] in changed for i in members):
            continue
        if not old:
            following += 1
        found.append(Touched(min(old, default=following - 1), tuple(members), old))
    return found, stale.union(*(each.replaces for each in found))


def windows_of(locations: pa.Table, patches: pa.Table, groups: Sequence[Touched]) -> list[dict[int, Held]]:
    """The existing windows of each component, by lattice.

    Args:
        locations: all locations.
        patches: the patches that count as dates of the locations.
        groups: the components.
    """
    group_of = {old: k for k, group in enumerate(groups) for old in group.replaces}
    wanted = pc.is_in(locations["component"], pa.array(group_of, pa.int64()))
    here = locations.filter(wanted).drop_columns(["geometry"]).to_pandas()
    near = patches.select(["location_id", "datatake"]).filter(
        pc.is_in(patches["location_id"], locations["location_id"].filter(wanted).combine_chunks())
    )
    dates = near.to_pandas().groupby("location_id")["datatake"].agg(frozenset).to_dict()
    found: list[dict[int, Held]] = [{} for _ in groups]
    for (k, epsg), part in here.groupby([here["component"].map(group_of), "epsg"]):
        found[k][int(epsg)] = _held(part, dates)
    return found


def _held(locations: pd.DataFrame, dates: Mapping[str, frozenset[str]]) -> Held:
    return Held(
        anchors_of(locations), tuple(dates.get(name, frozenset()) for name in locations["location_id"])
    )


def stale_patches(patches: pa.Table, replaced: Collection[str]) -> Flags:
    """Which patches have pixels of a replaced tile: bool [patch]."""
    stale = np.zeros(len(patches), np.bool_)
    if replaced:
        sources = patches["sources"].combine_chunks()
        gives = pc.is_in(sources.flatten(), pa.array(replaced, pa.string())).to_numpy(zero_copy_only=False)
        stale[pc.list_parent_indices(sources).to_numpy()[gives]] = True
    return stale & is_live(patches)


def joined(
    before: PlanTables, new: PlanTables, groups: Sequence[Touched], gone: Collection[int]
) -> PlanTables:
    """The tables after growing: new locations and patches follow the old ones.

    Args:
        before: the tables so far, with stale patches retired.
        new: the new rows of the touched components.
        groups: the touched components.
        gone: component numbers whose overlaps and tuples are replaced.
    """
    renumbered = {old: group.number for group in groups for old in group.replaces}
    old, which = np.unique(before.locations["component"].to_numpy(), return_inverse=True)
    numbers = np.array([renumbered.get(n, n) for n in old.tolist()], np.int64)[which]
    patches = pa.concat_tables([before.patches, new.patches])
    locations = pa.concat_tables([replaced(before.locations, {"component": numbers}), new.locations])
    dates = pc.value_counts(patches["location_id"].filter(pc.is_in(patches["status"], COUNTED)))
    at = pc.index_in(locations["location_id"], dates.field("values"))
    return PlanTables(
        _renewed(before.overlaps, new.overlaps, gone),
        _renewed(before.tuples, new.tuples, gone),
        replaced(locations, {"n": pc.fill_null(dates.field("counts").take(at), 0)}),
        patches,
    )


def retire(patches: pa.Table, stale: Flags, again: pa.ChunkedArray, products: Mapping[str, str]) -> pa.Table:
    """The patch table with stale patches retired.

    Args:
        patches: the table.
        stale: which rows of the table are stale.
        again: ids of the patches that are cut again.
        products: the newer product of each replaced tile, by tile_id; other tiles of stale patches are gone.
    """
    if not stale.any():
        return patches
    old = patches.filter(stale)
    cut = pc.is_in(old["patch_id"], again.combine_chunks())
    reasons = [
        _reason(follows, _newer(sources, products))
        for follows, sources in zip(cut.to_pylist(), old["sources"].to_pylist(), strict=True)
    ]
    changed = {"status": pa.scalar(RETIRED), "reason": pa.array(reasons)}
    mask = pa.array(stale)
    return replaced(
        patches, {name: pc.replace_with_mask(patches[name], mask, value) for name, value in changed.items()}
    )


def is_live(patches: pa.Table) -> Flags:
    """Which patches are not retired: bool [patch]."""
    return np.asarray(pc.not_equal(patches["status"], RETIRED).to_numpy(), np.bool_)


def _reason(follows: bool, newer: str) -> str:
    if not newer:
        return "Its source is gone; nothing was cut of it."
    if follows:
        return f"Replaced by pixels of {newer}."
    return f"No clear window in {newer}, which replaces its source."


def _newer(sources: Collection[str], products: Mapping[str, str]) -> str:
    return " and ".join(products[name] for name in sources if name in products)


def _numbers(tuples: pa.Table) -> dict[str, int]:
    """The component of each tile that has windows."""
    tiles = tuples["tiles"].combine_chunks()
    component = tuples["component"].take(pc.list_parent_indices(tiles))
    return dict(zip(tiles.flatten().to_pylist(), component.to_pylist(), strict=True))


def _numbered(tables: PlanTables) -> list[pa.Table]:
    return [table for table in (tables.tuples, tables.locations) if len(table)]


def _groups(
    candidates: gpd.GeoDataFrame, number_of: Mapping[str, int], locations: pa.Table
) -> list[tuple[list[int], frozenset[int]]]:
    """Groups of tiles that touch or were in one component, in order of their first tile, with old component numbers.

    A location without dates may have no tile any more. It keeps its position, and belongs to the group that touches it.
    """
    bare = locations.filter(pc.equal(locations["n"], 0))
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


def _renewed(before: pa.Table, new: pa.Table, gone: Collection[int]) -> pa.Table:
    kept = before.filter(pc.invert(pc.is_in(before["component"], pa.array(gone, pa.int64()))))
    return by_component(pa.concat_tables([kept, new]))
