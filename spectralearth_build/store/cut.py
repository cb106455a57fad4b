"""Cut patches out of tiles: one task a tile, whole shards written once, a commit record after each.

What was done is decided by the commit records alone, so a run may stop anywhere and any task may run twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config
from spectralearth_build.errors import PlanChangedError, ProductError
from spectralearth_build.files import delete_partials, remove
from spectralearth_build.journal import recover
from spectralearth_build.plan.fingerprint import inputs_of, tile_changes
from spectralearth_build.progress import track
from spectralearth_build.store import publish, statistics
from spectralearth_build.store.codec import encode_patch
from spectralearth_build.store.commit import Commit, Skipped, read_all
from spectralearth_build.store.compose import SCRATCH, Pixels, compose, lines_needed, read_pixels
from spectralearth_build.store.failures import FailedTile, failed_path, read_failed, stamp
from spectralearth_build.store.schema import ROOT, shard_path
from spectralearth_build.store.shard import write_shard
from spectralearth_build.store.task import Planned, PlannedPatch, Tasks, TileTask, load_plan

STAGE = "cut"


@dataclass(frozen=True)
class CutResult:
    """What a run of cut did, and what the dataset now holds."""

    tiles_cut: int
    """Tiles that were cut in this run."""
    published: bool
    """Whether this run changed the published dataset."""
    written: int
    """Patches in the dataset."""
    skipped: int
    """Planned patches that are not, each with its reason in patches.parquet."""
    failed: tuple[str, ...]
    """Tiles that failed, now or before; quarantined in tiles.parquet."""


def cut(archive: Path, dataset: Path, config: Config, executor: Executor) -> CutResult:
    """Cut what the plan says and is not yet there, then publish.

    Args:
        archive: folder of the products.
        dataset: the dataset, planned.
        config: the settings; those that shape the result must be those of the plan.
        executor: runs the tasks.

    Raises:
        PlanChangedError: settings or tiles differ from the plan's, or patches of another plan are here.
        OutOfSpaceError: the target is full.
        StoppedError: a signal came.
    """
    archive, dataset = archive.absolute(), dataset.absolute()  # workers may run elsewhere
    delete_partials(dataset)
    recover(dataset)
    shutil.rmtree(dataset / SCRATCH, ignore_errors=True)
    planned = load_plan(dataset)
    _check_settings(planned, config)
    _check_tiles(planned, config)
    todo = _outstanding(archive, dataset, planned)
    if todo:
        remove(dataset / ROOT)
    tasks = Tasks(archive, dataset, planned, todo)
    for tile_id, outcome in track(executor.run(STAGE, cut_tile, tasks), STAGE, len(tasks)):
        if isinstance(outcome, Failure):
            path = str(planned.eligible.loc[tile_id, "path"])
            seen = stamp(archive, path)
            FailedTile(planned.first_id, tile_id, outcome.error_class, outcome.message, seen).write(dataset)
    published = publish.publish(dataset)
    return CutResult(len(tasks), published.changed, published.written, published.skipped, published.failed)


def cut_tile(archive: Path, dataset: Path, task: TileTask) -> int:
    """Read a tile once, cut its patches, write its shards; returns how many patches were written.

    Raises:
        ProductError: the tile cannot be read; neighbours that cannot be read cost only the patches they share.
    """
    patches = [patch for group in task.shards.values() for patch in group]
    sources = SourceCache(archive, dataset, task, patches)
    sources(task.tile_id)  # before any shard is written: a bad tile leaves none
    return sum(_write(dataset, task, shard, sources) for shard in task.shards)


class SourceCache:
    """Gives the pixels of a task's tiles, each read when first needed and only the lines that are.

    Args:
        archive: folder of the products.
        dataset: the dataset.
        task: the task.
        patches: what will be cut.
    """

    def __init__(self, archive: Path, dataset: Path, task: TileTask, patches: list[PlannedPatch]) -> None:
        self._where = archive, dataset
        self._task = task
        self._patches = patches
        self._found: dict[str, Pixels | ProductError] = {}

    def __call__(self, tile_id: str) -> Pixels:
        """The pixels of a tile.

        Raises:
            ProductError: it cannot be read, now or when first tried.
        """
        if tile_id not in self._found:
            try:
                self._found[tile_id] = self._read(tile_id)
            except ProductError as error:
                self._found[tile_id] = error
        found = self._found[tile_id]
        if isinstance(found, ProductError):
            raise found
        return found

    def _read(self, tile_id: str) -> Pixels:
        source = self._task.sources[tile_id]
        box = lines_needed(self._patches, source)
        if box is None:
            raise ValueError(
                f"No patch of {self._task.tile_id} reaches into {tile_id}, although the plan says so."
            )
        return read_pixels(*self._where, source, box)


def _outstanding(archive: Path, dataset: Path, planned: Planned) -> dict[str, list[int]]:
    """Shards without a valid commit by tile, without the tiles that failed and have not changed since."""
    commits = read_all(dataset, planned.plan_of)
    failed = read_failed(dataset, planned.first_id)
    todo = {}
    for tile_id, shards in planned.shards_by_tile.items():
        missing = [shard for shard in shards if shard not in commits]
        if not missing:
            continue
        if tile_id in failed:
            if failed[tile_id].stamp == stamp(archive, str(planned.eligible.loc[tile_id, "path"])):
                continue
            remove(failed_path(dataset, tile_id))
        todo[tile_id] = missing
    return todo


def _write(dataset: Path, task: TileTask, shard: int, sources: SourceCache) -> int:
    """Write one shard and then its commit record."""
    rows: list[int] = []
    skipped: list[Skipped] = []
    parts: list[statistics.BandStatistics] = []

    def encoded() -> Iterator[tuple[int, bytes]]:
        for planned in task.shards[shard]:
            pixels, reason = compose(planned, sources)
            if reason:
                skipped.append(Skipped(planned.patch_id, reason))
                continue
            rows.append(planned.row)
            parts.append(statistics.of_patch(pixels))
            yield planned.row - shard * task.shard_rows, encode_patch(pixels, task.codec)

    written = write_shard(shard_path(dataset, shard), task.shard_rows, encoded())
    total = statistics.total(parts)
    content = task.tile_id, tuple(rows), tuple(skipped)
    Commit(task.plans[shard], shard, *content, written.size, written.sha256, total).write(dataset)
    return len(rows)


def _check_settings(planned: Planned, config: Config) -> None:
    """Refuse settings that would have given another plan."""
    sections = config.model_dump(mode="json")
    now = {f"{section}.{name}": value for section in sections for name, value in sections[section].items()}
    then = sorted(planned.settings.items())
    changed = [f"{key} was {old!r} and is {now.get(key)!r}" for key, old in then if now.get(key) != old]
    if changed:
        raise PlanChangedError(f"Settings are not those of the plan: {'; '.join(changed)}.")


def _check_tiles(planned: Planned, config: Config) -> None:
    """Refuse what scan has found since, other than tiles that the plan does not know yet."""
    change = tile_changes(planned.document["inputs"], inputs_of(config, planned.tiles))
    if other := [*change.gone, *change.changed, *change.replaced]:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        what = f"Tiles are not those of the plan: {', '.join(other[:3])}{more}."
        raise PlanChangedError(what, remedy="Run `plan`, or `build`: it says what to do.")
