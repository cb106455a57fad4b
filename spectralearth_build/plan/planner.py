"""The plan stage: from the tile table to all locations and patches, with the row each will have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely.geometry.base import BaseGeometry

from spectralearth_build.archive import mask as masks
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config, PlanConfig, QualityConfig
from spectralearth_build.errors import BuildError, PlanChangedError, PoorQualityError
from spectralearth_build.files import write_bytes
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.view import Tile
from spectralearth_build.plan.assemble import PlanTables, assemble
from spectralearth_build.plan.component import ComponentPlan, plan_component
from spectralearth_build.plan.estimates import Estimate, duration, estimate, readable
from spectralearth_build.plan.fingerprint import difference, identity, inputs_of
from spectralearth_build.progress import track
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

FILE = "plan.json"
TILES_PER_TASK = 32


@dataclass(frozen=True)
class Plan:
    """What was decided, in numbers."""

    id: str
    """SHA-256 of inputs and rows; every commit record and the manifest bear it."""
    counts: dict[str, Any]
    """tiles_used, components, tuples, locations, patches and locations_by_dates."""
    estimate: Estimate
    """What cutting will cost."""
    fresh: bool
    """False if the same plan was there already."""

    def summary(self, workers: int = 1) -> list[str]:
        """The plan for people, one line each; ``workers`` will share the work."""
        by_dates = ", ".join(f"{n} with {dates}" for dates, n in self.counts["locations_by_dates"].items())
        expected = self.estimate
        return [
            f"{self.counts['patches']} patches at {self.counts['locations']} locations from "
            f"{self.counts['tiles_used']} tiles in {self.counts['components']} components",
            f"locations by number of dates: {by_dates or 'none'}",
            f"{readable(expected.raw_bytes)} raw, about {readable(expected.stored_bytes)} stored; "
            f"{readable(expected.worker_bytes)} memory per worker; about "
            f"{duration(expected.core_seconds / workers)} to cut with {workers} workers",
        ]


def plan(dataset: Path, config: Config, executor: Executor) -> Plan:
    """Plan a dataset, unless the same plan is there already.

    Reads tiles.parquet and the masks; writes overlaps, tuples, locations and patches, the status of each tile, and
    plan.json last.

    Raises:
        PlanChangedError: shards were already cut from another plan; says what changed.
        UsageError: there is no tile table.
    """
    tiles = TILES.read(dataset)
    inputs = inputs_of(config, tiles)
    previous = _previous(dataset)
    if previous is not None and previous["inputs"] == inputs:
        return _plan_of(previous, fresh=False)
    if previous is not None and any((dataset / "commits").glob("*.json")):
        changes = "; ".join(difference(previous["inputs"], inputs))
        raise PlanChangedError(f"Shards were already cut from a plan that differs: {changes}.", dataset)
    judged = reject_poor(tiles, config.quality)
    tables = _tables(judged, dataset, config, executor)
    judged = _with_fates(judged, tables)
    for table, frame in (
        (OVERLAPS, tables.overlaps),
        (TUPLES, tables.tuples),
        (LOCATIONS, tables.locations),
        (PATCHES, tables.patches),
        (TILES, judged),
    ):
        table.write(frame, dataset)
    expected = estimate(tables.patches, judged, config.store.codec)
    record = {
        "id": identity(inputs, tables.patches),
        "inputs": inputs,
        "counts": _counts(judged, tables),
        "estimate": asdict(expected),
    }
    write_bytes(dataset / FILE, json.dumps(record, indent=1, sort_keys=True).encode())
    return _plan_of(record, fresh=True)


def reject_poor(tiles: gpd.GeoDataFrame, quality: QualityConfig) -> gpd.GeoDataFrame:
    """The tile table with the status of eligible tiles made anew: `rejected` by quality, else `unused` as yet."""
    judged = tiles.copy()
    eligible = judged["eligible"].astype(bool)
    judged.loc[eligible, ["status", "reason", "error_class"]] = ["unused", "", ""]
    sun, grade = judged["sun_elevation"], judged["overall_quality"]
    low = eligible & (sun < quality.min_sun_elevation)
    poor = eligible & ~low & (grade > quality.max_overall_quality)
    for wrong, text in (
        (
            low,
            "sun at "
            + sun.round(1).astype(str)
            + f" degrees, at least {quality.min_sun_elevation} asked for.",
        ),
        (
            poor,
            "overall quality " + grade.astype(str) + f", at most {quality.max_overall_quality} asked for.",
        ),
    ):
        judged.loc[wrong, "status"] = PoorQualityError.status
        judged.loc[wrong, "error_class"] = PoorQualityError.__name__
        judged.loc[wrong, "reason"] = text[wrong] + " " + PoorQualityError.remedy
    return judged


def _tables(tiles: gpd.GeoDataFrame, dataset: Path, config: Config, executor: Executor) -> PlanTables:
    candidates = tiles[tiles["status"] == "unused"].sort_values("tile_id", ignore_index=True)
    groups = components(candidates.geometry.to_numpy())
    members = _members(candidates)
    tasks: dict[str, tuple[Any, ...]] = {}
    bundle: list[tuple[int, list[tuple[Tile, str]]]] = []
    for number, group in enumerate(groups):
        bundle.append((number, [members[i] for i in group]))
        if sum(len(each) for _, each in bundle) >= TILES_PER_TASK or number == len(groups) - 1:
            tasks[f"component-{bundle[0][0]:06d}"] = (str(dataset), bundle, config.plan, config.quality)
            bundle = []
    planned: list[tuple[int, ComponentPlan]] = []
    for key, outcome in track(executor.run("plan", plan_bundle, tasks), "plan", len(tasks)):
        if isinstance(outcome, Failure):
            raise BuildError(f"Planning failed in {key}: {outcome.error_class}: {outcome.message}.", dataset)
        planned.extend(outcome)
    return assemble(planned, candidates, config.store.shard_rows)


def plan_bundle(
    dataset: str, bundle: list[tuple[int, list[tuple[Tile, str]]]], config: PlanConfig, quality: QualityConfig
) -> list[tuple[int, ComponentPlan]]:
    """The task: plan some components, given their tiles and the paths of their masks below the dataset."""
    done = []
    for number, members in bundle:
        paths: Mapping[str, str] = {tile.tile_id: path for tile, path in members}

        def mask_of(tile: Tile, paths: Mapping[str, str] = paths) -> masks.Mask | None:
            return masks.load(Path(dataset) / paths[tile.tile_id]) if paths[tile.tile_id] else None

        done.append((number, plan_component([tile for tile, _ in members], mask_of, config, quality)))
    return done


def _members(tiles: gpd.GeoDataFrame) -> list[tuple[Tile, str]]:
    columns = ["tile_id", "datatake", "tile", "epsg", "lattice_row", "lattice_col", "height", "width", "mask"]
    found = []
    for (name, datatake, number, epsg, row, col, height, width, mask), shape in zip(
        tiles[columns].itertuples(index=False), tiles.geometry, strict=True
    ):
        box = Box(-int(row), int(col), int(height), int(width))
        footprint: BaseGeometry = shape
        found.append((Tile(name, datatake, int(number), int(epsg), box, footprint), mask or ""))
    return found


def _with_fates(tiles: gpd.GeoDataFrame, tables: PlanTables) -> gpd.GeoDataFrame:
    used = set(tables.patches["sources"].explode())
    open_ones = tiles["status"] == "unused"
    taken = open_ones & tiles["tile_id"].isin(used)
    tiles.loc[taken, "status"] = "used"
    tiles.loc[open_ones & ~taken, "reason"] = "no window that is valid and clear enough was placed on it"
    return tiles


def _counts(tiles: pd.DataFrame, tables: PlanTables) -> dict[str, Any]:
    dates = tables.locations["n"].value_counts().sort_index()
    return {
        "tiles_used": int((tiles["status"] == "used").sum()),
        "components": int(tables.locations["component"].nunique()),
        "tuples": len(tables.tuples),
        "locations": len(tables.locations),
        "patches": len(tables.patches),
        "locations_by_dates": {str(int(n)): int(count) for n, count in dates.items()},
    }


def _previous(dataset: Path) -> dict[str, Any] | None:
    path = dataset / FILE
    return json.loads(path.read_text()) if path.is_file() else None


def _plan_of(record: dict[str, Any], fresh: bool) -> Plan:
    return Plan(record["id"], record["counts"], Estimate(**record["estimate"]), fresh)
