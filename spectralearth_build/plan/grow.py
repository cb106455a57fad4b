"""Growing: which components new tiles touch, and how what they give joins what is there. Pure functions on tables.

A dataset before its first plan is an empty one: the first plan is a growth like any other. Nothing that exists moves;
locations, store rows and shards stay. Touched components are planned again around their windows: datatakes that now
cover an existing window join its series, and new windows are placed on what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from spectralearth_build.overlap.graph import components
from spectralearth_build.plan.assemble import NO_TABLES, Known, PlanTables, by_component, replaced
from spectralearth_build.plan.component import Held
from spectralearth_build.plan.fingerprint import Inputs

RETIRED = "retired"
COUNTED = pa.array(["planned", "written"])
"""What a patch must be to count as a date of its location."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Before:
    """A planned dataset before it grows; by default one that is not planned yet."""

    inputs: Inputs = field(default_factory=lambda: {"settings": {}, "tiles": {}})
    """Settings and tiles of its plan."""
    generations: tuple[Mapping[str, Any], ...] = ()
    """How it grew so far, as in plan.json."""
    tables: PlanTables = NO_TABLES
    """Its tables."""

    @property
    def id(self) -> str:
        """Its fingerprint, empty if there is none."""
        return str(self.generations[-1]["id"]) if self.generations else ""

    @property
    def shards(self) -> int:
        """How many shards are planned."""
        last = self.generations[-1] if self.generations else {"first_shard": 0, "shards": 0}
        return int(last["first_shard"] + last["shards"])

    def known(self, standing: pa.Table) -> Known:
        """What must not be planned again; ``standing`` are the patches that stay."""
        places, names = self.tables.locations["location_id"], standing["patch_id"]
        return Known(places.combine_chunks(), names.combine_chunks(), self.shards, len(self.generations))


@dataclass(frozen=True)
class Touched:
    """A component that is planned again, or for the first time."""

    number: int
    """Its number from now on: the smallest it had, or the next."""
    members: tuple[int, ...]
    """Its tiles, as rows of the candidates."""
    replaces: frozenset[int]
    """The components that it holds, by the numbers they had."""


def touched(
    candidates: gpd.GeoDataFrame, changed: Collection[str], tables: PlanTables
) -> tuple[list[Touched], frozenset[int]]:
    """The components in which a tile is new or replaced.

    Components merge and never split: tiles that were in one stay together. A tile that no window lies on has no
    component as yet.

    Args:
        candidates: all tiles that may be used, old and new, in order of tile_id.
        changed: tiles that are new or replaced.
        tables: the tables so far.

    Returns:
        The components, and the old numbers whose overlaps and tuples no longer hold.
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
    """For each component, the windows it has, by lattice.

    Args:
        locations: all locations.
        patches: the patches that count as theirs.
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
    anchors = np.stack([-locations["lattice_row"], locations["lattice_col"]], axis=1).astype(np.int32)
    return Held(anchors, tuple(dates.get(name, frozenset()) for name in locations["location_id"]))


def stale_patches(patches: pa.Table, replaced: Collection[str]) -> Flags:
    """Which patches have pixels of a tile that is replaced: bool, one a row."""
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
        before: the tables so far, with what is retired.
        new: what was planned on the touched components.
        groups: these components.
        gone: numbers whose overlaps and tuples are replaced.
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
        stale: which of its rows.
        again: names of the patches that are cut again.
        products: the newer product of each tile that is replaced, by tile_id; the other tiles are gone.
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
    """Which patches are not retired: bool, one a row."""
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
    """The component of each tile on which windows lie."""
    tiles = tuples["tiles"].combine_chunks()
    component = tuples["component"].take(pc.list_parent_indices(tiles))
    return dict(zip(tiles.flatten().to_pylist(), component.to_pylist(), strict=True))


def _numbered(tables: PlanTables) -> list[pa.Table]:
    return [table for table in (tables.tuples, tables.locations) if len(table)]


def _groups(
    candidates: gpd.GeoDataFrame, number_of: Mapping[str, int], locations: pa.Table
) -> list[tuple[list[int], frozenset[int]]]:
    """Tiles that touch or were together, in order of the first, and the numbers of the components that they hold.

    A location without a date may lie on no tile any more; it holds its place, and belongs to whatever touches it.
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
