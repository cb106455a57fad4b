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
import pandas as pd

from spectralearth_build.overlap.graph import components
from spectralearth_build.plan.assemble import Known, PlanTables
from spectralearth_build.plan.component import Held
from spectralearth_build.plan.fingerprint import Inputs
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

RETIRED = "retired"


@dataclass(frozen=True)
class Before:
    """A planned dataset before it grows; by default one that is not planned yet."""

    inputs: Inputs = field(default_factory=lambda: {"settings": {}, "tiles": {}})
    """Settings and tiles of its plan."""
    generations: tuple[Mapping[str, Any], ...] = ()
    """How it grew so far, as in plan.json."""
    tables: PlanTables = field(
        default_factory=lambda: PlanTables(*(t.frame([]) for t in (OVERLAPS, TUPLES, LOCATIONS, PATCHES)))
    )
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

    def known(self, standing: pd.DataFrame) -> Known:
        """What must not be planned again; ``standing`` are the patches that stay."""
        names = frozenset(self.tables.locations["location_id"]), frozenset(standing["patch_id"])
        return Known(*names, self.shards, len(self.generations))


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
    following = 1 + max((int(frame["component"].max()) for frame in _numbered(tables)), default=-1)
    found = []
    for members in _groups(candidates, number_of):
        old = frozenset(number_of[names[i]] for i in members if names[i] in number_of)
        if old.isdisjoint(stale) and not any(names[i] in changed for i in members):
            continue
        if not old:
            following += 1
        found.append(Touched(min(old, default=following - 1), tuple(members), old))
    return found, stale.union(*(each.replaces for each in found))


def windows_of(
    locations: pd.DataFrame, patches: pd.DataFrame, groups: Sequence[Touched]
) -> list[dict[int, Held]]:
    """For each component, the windows it has, by lattice.

    Args:
        locations: all locations.
        patches: the patches that count as theirs.
        groups: the components.
    """
    group_of = {old: k for k, group in enumerate(groups) for old in group.replaces}
    here = locations[locations["component"].isin(group_of)]
    near = patches[patches["location_id"].isin(here["location_id"])]
    dates = near.groupby("location_id")["datatake"].agg(frozenset).to_dict()
    found: list[dict[int, Held]] = [{} for _ in groups]
    for (k, epsg), part in here.groupby([here["component"].map(group_of), "epsg"]):
        found[k][int(epsg)] = _held(part, dates)
    return found


def _held(locations: pd.DataFrame, dates: Mapping[str, frozenset[str]]) -> Held:
    anchors = np.stack([-locations["lattice_row"], locations["lattice_col"]], axis=1).astype(np.int32)
    return Held(anchors, tuple(dates.get(name, frozenset()) for name in locations["location_id"]))


def stale_patches(patches: pd.DataFrame, replaced: Collection[str]) -> pd.Series:
    """Which patches have pixels of a tile that is replaced: bool, one a row."""
    if not replaced:
        return pd.Series(False, index=patches.index)
    gives = patches["sources"].explode().isin(replaced)
    return is_live(patches) & gives.groupby(level=0).any()


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
    kept = before.locations.assign(component=[renumbered.get(n, n) for n in before.locations["component"]])
    patches = _stacked(before.patches, new.patches)
    locations = _stacked(kept, new.locations)
    dates = patches.loc[patches["status"].isin(["planned", "written"]), "location_id"].value_counts()
    counted = locations["location_id"].map(dates).fillna(0).astype(np.int32)
    return PlanTables(
        _renewed(before.overlaps, new.overlaps, gone),
        _renewed(before.tuples, new.tuples, gone),
        locations.assign(n=counted),
        patches,
    )


def retire(
    patches: pd.DataFrame, stale: pd.Series, again: Collection[str], products: Mapping[str, str]
) -> pd.DataFrame:
    """The patch table with stale patches retired.

    Args:
        patches: the table.
        stale: which of its rows.
        again: names of the patches that are cut again.
        products: the newer product of each tile that is replaced, by tile_id.
    """
    changed = patches.copy()
    changed.loc[stale, "status"] = RETIRED
    changed.loc[stale, "reason"] = [
        f"Replaced by pixels of {_newer(sources, products)}."
        if name in again
        else f"No clear window in {_newer(sources, products)}, which replaces its source."
        for name, sources in zip(patches.loc[stale, "patch_id"], patches.loc[stale, "sources"], strict=True)
    ]
    return changed


def is_live(patches: pd.DataFrame) -> pd.Series:
    """Which patches are not retired."""
    return patches["status"] != RETIRED


def _newer(sources: Collection[str], products: Mapping[str, str]) -> str:
    return " and ".join(products[name] for name in sources if name in products)


def _numbers(tuples: pd.DataFrame) -> dict[str, int]:
    """The component of each tile on which windows lie."""
    names = tuples["tiles"].explode()
    return dict(zip(names, tuples["component"].loc[names.index].tolist(), strict=True))


def _numbered(tables: PlanTables) -> list[pd.DataFrame]:
    return [frame for frame in (tables.tuples, tables.locations) if len(frame)]


def _groups(candidates: gpd.GeoDataFrame, number_of: Mapping[str, int]) -> list[list[int]]:
    """Tiles that touch or were together, in order of the first."""
    found = components(candidates.geometry.to_numpy())
    names = candidates["tile_id"].tolist()
    graph = nx.Graph()
    graph.add_nodes_from(("now", k) for k in range(len(found)))
    for k, group in enumerate(found):
        graph.add_edges_from(
            (("now", k), ("before", number_of[names[i]])) for i in group if names[i] in number_of
        )
    return sorted(
        sorted(i for kind, k in part if kind == "now" for i in found[k])
        for part in nx.connected_components(graph)
    )


def _renewed(before: pd.DataFrame, new: pd.DataFrame, gone: Collection[int]) -> pd.DataFrame:
    kept = before[~before["component"].isin(gone)]
    return _stacked(kept, new).sort_values("component", kind="stable", ignore_index=True)


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One table after the other; an empty one has no types worth keeping."""
    parts = [part for part in (first, second) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else first
