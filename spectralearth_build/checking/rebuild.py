"""A second, empty dataset inside the work folder, in which files are made again before they replace damaged ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from spectralearth_build.archive.scan import scan
from spectralearth_build.archive.tile_list import Listed, write_tile_list
from spectralearth_build.archive.watched import watched
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.cutting.task import Tasks
from spectralearth_build.errors import NothingFoundError
from spectralearth_build.files import make_folder
from spectralearth_build.layout import EXACT, MASKS, REPAIR, SCANNED
from spectralearth_build.plan.planner import plan
from spectralearth_build.progress import track
from spectralearth_build.store.planned import Planned, load_plan

_REMEMBERED = (SCANNED, MASKS, EXACT)


def workshop(dataset: Path) -> Path:
    """Make a new, empty dataset in the work folder, with links to the records of scan."""
    folder = dataset / REPAIR
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    for name in _REMEMBERED:
        if (dataset / name).is_dir():
            shutil.copytree(dataset / name, folder / name, copy_function=os.link)
    return folder


def planned_again(
    archive: Path, dataset: Path, config: Config, settings: Mapping[str, Any], executor: Executor
) -> Planned:
    """Scan and plan in a workshop.

    Args:
        archive: folder of the products.
        dataset: the dataset, of which `workshop` has made a folder.
        config: the settings, used where ``settings`` has no value.
        settings: settings of the plan, by dotted name.
        executor: runs the tasks.
    """
    own = with_settings(config, settings)
    folder = dataset / REPAIR
    scan(archive, folder, own, executor, like=dataset)
    plan(folder, own, executor)
    return load_plan(folder)


def cut_again(
    archive: Path,
    dataset: Path,
    planned: Planned,
    shards: Mapping[str, list[int]],
    config: Config,
    executor: Executor,
) -> list[Failure]:
    """Cut shards, with their commit records, in a workshop. Returns the tiles that cannot be read.

    Args:
        archive: folder of the products.
        dataset: the dataset, of which `workshop` has made a folder.
        planned: the plan.
        shards: shards to cut, by tile.
        config: the settings. Those of ``scan`` are used if masks are missing.
        executor: runs the tasks.
    """
    folder = dataset / REPAIR
    tasks = Tasks(archive, folder, planned, shards, judged=())  # what cut found earlier may be lost
    sources = [source for tile in shards for source in tasks[tile][2].sources.values()]
    lost = {source.tile_id for source in sources if not (folder / source.mask).is_file()}
    if lost:
        _mask_again(archive, dataset, planned=planned, tiles=lost, config=config, executor=executor)
    # a few products may all be missing although the archive is available
    everything = planned.able.paths
    with watched(executor, archive, folder, everything) as watching:
        tasks = replace(tasks, presence=watching.look)
        steps = track(watching.run("repair", cut_tile, tasks), "repair", len(tasks))
        return [outcome for _, outcome in steps if isinstance(outcome, Failure)]


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """Return a configuration with the settings of a plan. A plan stores only the hash of the region."""
    tree = config.model_dump(mode="json")
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if key != "plan.region":
            tree[section][name] = value
    return Config.model_validate(tree)


def _mask_again(
    archive: Path, dataset: Path, planned: Planned, tiles: Iterable[str], config: Config, executor: Executor
) -> None:
    """Scan products whose masks are missing."""
    folder = dataset / REPAIR
    listed = folder / "tiles.csv"
    write_tile_list(listed, [Listed(tile, planned.able.version(tile)) for tile in sorted(tiles)])
    asked = config.scan.model_copy(update={"manifest": str(listed)})
    with suppress(NothingFoundError):  # then reported tile by tile
        scan(archive, folder, config.model_copy(update={"scan": asked}), executor, like=dataset)
