"""From planned components to the tables of the dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import ORIGIN, PIXEL, WINDOW
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.plan.component import ComponentPlan
from spectralearth_build.plan.rows import assign_rows
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

EQUAL_AREA = 6933
"""EASE-Grid 2.0, cylindrical equal-area: for areas that no single zone holds."""
KM2 = 1e-6


@dataclass(frozen=True)
class PlanTables:
    """The four tables of a plan."""

    overlaps: pd.DataFrame
    tuples: gpd.GeoDataFrame
    locations: gpd.GeoDataFrame
    patches: pd.DataFrame


@dataclass(frozen=True)
class Known:
    """What is in the tables already."""

    locations: frozenset[str] = frozenset()
    """Names of all locations."""
    patches: frozenset[str] = frozenset()
    """Names of the patches that are not retired."""
    shards: int = 0
    """How many there are."""
    generations: int = 0
    """How many there are."""


NOTHING_KNOWN = Known()


def assemble(
    plans: Sequence[tuple[int, ComponentPlan]],
    tiles: gpd.GeoDataFrame,
    shard_rows: int,
    known: Known = NOTHING_KNOWN,
) -> PlanTables:
    """Put components together.

    Args:
        plans: component number and its plan, in any order.
        tiles: the tile table.
        shard_rows: rows in a shard.
        known: locations and patches to leave out, and where shards and generations go on.
    """
    ordered = sorted(plans, key=lambda item: item[0])
    return PlanTables(
        _overlaps(_rows(ordered, "overlaps"), tiles),
        _tuples(_rows(ordered, "tuples")),
        _locations(columns(ordered, "locations"), known),
        _patches(columns(ordered, "patches"), tiles, shard_rows, known),
    )


def _rows(plans: Iterable[tuple[int, ComponentPlan]], name: str) -> pd.DataFrame:
    return pd.DataFrame(
        [{"component": component, **row} for component, plan in plans for row in getattr(plan, name)]
    )


def columns(plans: Iterable[tuple[int, ComponentPlan]], name: str) -> pd.DataFrame:
    """Join the blocks of ``locations`` or ``patches`` of all plans, and name the locations."""
    blocks = [(component, block) for component, plan in plans for block in getattr(plan, name)]
    if not blocks:
        return pd.DataFrame()
    joined = {key: np.concatenate([block[key] for _, block in blocks]) for key in blocks[0][1]}
    component = np.repeat([number for number, _ in blocks], [len(block["epsg"]) for _, block in blocks])
    places = zip(*(joined[key].tolist() for key in ("epsg", "lattice_col", "lattice_row")), strict=True)
    return pd.DataFrame(
        {"component": component, "location_id": [f"{e}_{c}_{r}" for e, c, r in places], **joined}
    )


def _overlaps(rows: pd.DataFrame, tiles: gpd.GeoDataFrame) -> pd.DataFrame:
    if rows.empty:
        return OVERLAPS.frame(rows)
    named = tiles["tile_id"].isin(rows["tile_a"]) | tiles["tile_id"].isin(rows["tile_b"])
    footprints = tiles[tiles["eligible"].astype(bool) & named].set_index("tile_id").geometry
    flat = pd.Series(_projected(footprints.to_numpy()), index=footprints.index)
    common = shapely.intersection(flat.loc[rows["tile_a"]].to_numpy(), flat.loc[rows["tile_b"]].to_numpy())
    return OVERLAPS.frame(rows.assign(area_km2=shapely.area(common) * KM2))


def _projected(footprints: Any) -> Any:  # noqa: ANN401
    project = transformer(4326, EQUAL_AREA)
    return shapely.transform(footprints, lambda p: np.stack(project.transform(p[:, 0], p[:, 1]), axis=1))


def _tuples(rows: pd.DataFrame) -> gpd.GeoDataFrame:
    if rows.empty:
        return TUPLES.frame(rows)
    area = rows["windows"] * (PIXEL**2 * KM2)
    return TUPLES.frame(
        rows.assign(area_km2=area, geometry=_geographic(rows["outline"].to_numpy(), rows["epsg"]))
    )


def _locations(rows: pd.DataFrame, known: Known) -> gpd.GeoDataFrame:
    if not rows.empty:
        rows = rows[~rows["location_id"].isin(known.locations)]
    if rows.empty:
        return LOCATIONS.frame(rows)
    west, north = ORIGIN + PIXEL * rows["lattice_col"], ORIGIN + PIXEL * rows["lattice_row"]
    boxes = shapely.box(west, north - PIXEL * WINDOW, west + PIXEL * WINDOW, north)
    located = rows.assign(geometry=_geographic(boxes, rows["epsg"]))
    return LOCATIONS.frame(located.sort_values("location_id", ignore_index=True))


def _geographic(shapes: Any, epsg: pd.Series) -> Any:  # noqa: ANN401
    result = np.empty(len(shapes), dtype=object)
    for zone in epsg.unique():
        here = (epsg == zone).to_numpy()
        result[here] = to_lonlat(shapes[here], int(zone))
    return result


def _patches(rows: pd.DataFrame, tiles: gpd.GeoDataFrame, shard_rows: int, known: Known) -> pd.DataFrame:
    if not rows.empty:
        rows = rows.assign(patch_id=rows["location_id"] + "_" + rows["datatake"])
        rows = rows[~rows["patch_id"].isin(known.patches)]
    if rows.empty:
        return PATCHES.frame(rows)
    acquired = tiles[tiles["eligible"].astype(bool)].set_index("tile_id")["acquired"]
    dated = rows.assign(
        generation=known.generations,
        acquired=acquired.loc[rows["tile_id"]].to_numpy(),
        status="planned",
        reason="",
    )
    return PATCHES.frame(assign_rows(dated, shard_rows, known.shards))
