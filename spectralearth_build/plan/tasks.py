"""Plan components in tasks of an executor; small components share a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
from shapely.geometry.base import BaseGeometry

from spectralearth_build import mask as masks
from spectralearth_build.archive.watched import sharing
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config, PlanConfig, QualityConfig
from spectralearth_build.errors import BuildError, UsageError
from spectralearth_build.kernels import prepare
from spectralearth_build.overlap.lattice import box_of
from spectralearth_build.overlap.view import Tile
from spectralearth_build.plan.assemble import Part, described, known_of
from spectralearth_build.plan.component import Held, plan_component
from spectralearth_build.plan.grow import Touched
from spectralearth_build.plan.region_file import read_region
from spectralearth_build.progress import say, track
from spectralearth_build.storage import attach
from spectralearth_build.texts import counted

TILES_PER_TASK = 32, 128
"""Fewest and most tiles of a task: each task costs the driver and its worker some milliseconds."""
TASKS_PER_WORKER = 32
"""Number of tasks of a worker, if that gives sizes between these, so that no worker waits long for the last task."""


@dataclass(frozen=True)
class ComponentTask:
    """A component to plan."""

    number: int
    members: list[tuple[Tile, str]]
    """Its tiles, and the paths of their masks below the dataset (empty: the footprint serves as mask)."""
    held: Mapping[int, Held]
    """The existing windows, by lattice."""


def run_tasks(
    groups: Sequence[Touched],
    windows: Sequence[Mapping[int, Held]],
    candidates: gpd.GeoDataFrame,
    dataset: Path,
    config: Config,
    executor: Executor,
    folder: Path,
) -> Iterator[Part]:
    """Plan components; yields their rows as tasks end, in any order.

    Args:
        groups: the components.
        windows: for each component, the existing windows by lattice.
        candidates: the tiles that the members of ``groups`` refer to.
        dataset: the dataset with the masks.
        config: all settings.
        executor: runs the tasks.
        folder: a folder below the dataset where tasks leave their rows. Workers that do not share it return them.

    Raises:
        UsageError: masks are missing.
    """
    needed = candidates.iloc[sorted(i for group in groups for i in group.members)]
    _check_masks(needed, dataset)
    paths = [path or "" for path in needed["mask"]]
    members = dict(zip(needed.index, zip(tiles_of(needed), paths, strict=True), strict=True))
    jobs = [
        ComponentTask(group.number, [members[i] for i in group.members], held)
        for group, held in zip(groups, windows, strict=True)
    ]
    region = read_region(config.plan.region)
    apart = executor.elsewhere and attach.at(dataset) is not None
    common = config.plan, config.quality, region, None if apart else folder
    parts = bundles(jobs, tiles_per_task(len(needed), executor.workers))
    tasks = {f"component-{bundle[0].number:06d}": (str(dataset), bundle, *common) for bundle in parts}
    prepare(lambda text: say(f"plan: {text}"))
    with sharing(executor, dataset) as sharers:
        for key, outcome in track(sharers.run("plan", plan_bundle, tasks), "plan", len(tasks)):
            if isinstance(outcome, Failure):
                what = f"Planning failed in {key}: {outcome.error_class}: {outcome.message}."
                raise BuildError(what, dataset)
            yield outcome


def tiles_per_task(tiles: int, workers: int) -> int:
    """How many tiles a task should have at least."""
    fewest, most = TILES_PER_TASK
    return min(max(tiles // (workers * TASKS_PER_WORKER), fewest), most)


def bundles(jobs: Sequence[ComponentTask], tiles: int) -> list[list[ComponentTask]]:
    """Group jobs into tasks of some ``tiles``, the largest first, so that no large job runs alone at the end."""
    found: list[list[ComponentTask]] = [[]]
    size = 0
    for job in sorted(jobs, key=lambda job: (-len(job.members), job.number)):
        if size >= tiles:
            found.append([])
            size = 0
        found[-1].append(job)
        size += len(job.members)
    return found if jobs else []


def plan_bundle(
    dataset: str,
    bundle: list[ComponentTask],
    config: PlanConfig,
    quality: QualityConfig,
    region: BaseGeometry | None,
    folder: Path | None,
) -> Part:
    """Task: plan some components and make their rows; see `described`."""
    done = []
    for job in bundle:
        paths: Mapping[str, str] = {tile.tile_id: path for tile, path in job.members}

        def mask_of(tile: Tile, paths: Mapping[str, str] = paths) -> masks.Mask | None:
            return masks.load(Path(dataset) / paths[tile.tile_id]) if paths[tile.tile_id] else None

        tiles = [tile for tile, _ in job.members]
        done.append(
            (job.number, plan_component(tiles, mask_of, config, quality, held=job.held, region=region))
        )
    footprints = {tile.tile_id: tile.footprint for job in bundle for tile, _ in job.members}
    return described(done, footprints, known_of(job.held for job in bundle), folder)


def _check_masks(tiles: pd.DataFrame, dataset: Path) -> None:
    missing = [path for path in tiles["mask"] if path and not (dataset / path).is_file()]
    if missing:
        raise UsageError(
            f"{counted(len(missing), 'mask')} that planning needs cannot be found, such as {missing[0]}.",
            dataset,
            "Run `scan` or `build` with the archive to make them again.",
        )


def tiles_of(table: gpd.GeoDataFrame) -> list[Tile]:
    """Convert the rows of a tile table to tiles for planning."""
    columns = ["tile_id", "datatake", "tile", "epsg", "lattice_row", "lattice_col", "height", "width"]
    days = (table["acquired"] - pd.Timestamp(0, tz="UTC")).dt.days
    rows = zip(table[columns].to_dict("records"), table.geometry, days, strict=True)
    return [
        Tile(
            row["tile_id"],
            row["datatake"],
            number=int(row["tile"]),
            epsg=int(row["epsg"]),
            box=box_of(row),
            footprint=footprint,
            day=int(day),
        )
        for row, footprint, day in rows
    ]
