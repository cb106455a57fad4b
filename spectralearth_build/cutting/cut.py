"""The cut stage: one task for each tile with patches to cut, then publication.

Only commit records decide what is done, so a run may stop anywhere and any task may run twice.
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from spectralearth_build.archive.product import is_packed
from spectralearth_build.archive.record import FORMAT, Record, forget_record, overrule
from spectralearth_build.archive.unpack_cache import UNPACKED, UnpackCache
from spectralearth_build.archive.watched import Watched, watched
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config, RunConfig
from spectralearth_build.cutting import memory
from spectralearth_build.cutting.appeals import appeals, forget_appeals
from spectralearth_build.cutting.as_planned import plan_to_cut
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.cutting.no_patches import any_written, refuse_nothing_cut
from spectralearth_build.cutting.outstanding import outstanding
from spectralearth_build.cutting.second_look import begin, judged, overruled, refused
from spectralearth_build.cutting.share import Share, require_quiet
from spectralearth_build.cutting.sources import Decoded
from spectralearth_build.cutting.task import Tasks
from spectralearth_build.errors import ContentChangedError, is_lasting
from spectralearth_build.files import delete_partials, remove
from spectralearth_build.journal import recover
from spectralearth_build.layout import ROOT, SCRATCH, TileStatus, commit_name, failed_note, shard_name
from spectralearth_build.progress import track
from spectralearth_build.publishing import publish
from spectralearth_build.store.commit import read_all
from spectralearth_build.store.failed_tiles import FailedTile, failed_path, read_failed, stamp
from spectralearth_build.store.manifest import published_files
from spectralearth_build.store.planned import Planned
from spectralearth_build.threads import cores

STAGE = "cut"
CHANGED = ContentChangedError.__name__


@dataclass(frozen=True)
class CutResult:
    """The result of a run of cut, and the contents of the dataset."""

    tiles_cut: int
    """Number of tiles that were cut in this run."""
    published: bool
    """Whether this run changed the published dataset."""
    written: int
    """Number of patches in the dataset."""
    skipped: int
    """Number of planned patches that are not; patches.parquet gives the reason of each."""
    failed: tuple[str, ...]
    """Tiles that failed, in this or an earlier run, and are quarantined in tiles.parquet."""
    changed: tuple[str, ...]
    """Tiles among them that scan and plan must look at again: a product has changed since scan, or is damaged while the
    archive has another product of the tile."""
    decoded: Decoded
    """Bytes decoded in this run."""


def cut(archive: Path, dataset: Path, config: Config, executor: Executor) -> CutResult:
    """Cut the planned patches that are missing, then publish.

    Args:
        archive: folder of the products.
        dataset: folder of the planned dataset.
        config: the settings. Those that affect the result must equal those of the plan.
        executor: runs the tasks.

    Raises:
        PlanChangedError: Settings or tiles differ from the plan, or the folder has patches of another plan.
        NothingFoundError: No patch is planned, or none could be cut. Nothing was published.
        OutOfSpaceError: The disk is full.
        ArchiveError: The archive is unavailable, or becomes so during the run.
        StoppedError: A signal arrived.
    """
    archive, dataset = archive.absolute(), dataset.absolute()  # workers may run elsewhere
    delete_partials(dataset)
    recover(dataset)
    shutil.rmtree(dataset / SCRATCH, ignore_errors=True)
    planned, tiles = plan_to_cut(dataset, config)
    begin(dataset)
    todo = outstanding(archive, dataset, planned)
    with _running(archive, dataset, planned, todo, tiles, config=config, executor=executor) as run:
        decoded, changed = _cut_twice(run, todo)
    if not any_written(planned, dataset):
        if changed:  # scan decides
            return CutResult(
                tiles_cut=len(todo),
                published=False,
                written=0,
                skipped=0,
                failed=changed,
                changed=changed,
                decoded=decoded,
            )
        refuse_nothing_cut(planned, dataset)
    published = publish.publish(dataset, waiting=True)
    forget_appeals(dataset)
    return CutResult(
        tiles_cut=len(todo),
        published=published.changed,
        written=published.written,
        skipped=published.skipped,
        failed=published.failed,
        changed=changed,
        decoded=decoded,
    )


def cut_share(
    archive: Path, dataset: Path, config: Config, executor: Executor, share: Share
) -> tuple[int, int]:
    """Cut the missing patches of a share of the tiles, while other runs cut other shares; nothing is published.

    Patches that use a neighbour which its own task finds to be damaged are left to `cut`, which must run at the end.

    Args:
        archive: see `cut`, as the next three.
        dataset: the dataset; no other run than of shares may be using it.
        config: the settings.
        executor: runs the tasks.
        share: the share.

    Returns:
        The number of tiles that were cut, and how many of them failed.

    Raises:
        UsageError: Another run is changing the dataset.
        BuildError: As `cut`.
    """
    archive, dataset = archive.absolute(), dataset.absolute()
    require_quiet(dataset)
    planned, tiles = plan_to_cut(dataset, config)
    begin(dataset)
    todo = share.of(outstanding(archive, dataset, planned), planned.shards_by_tile)
    own = f"share-{share.name}-{secrets.token_hex(4)}"  # another run may be cutting the same share
    with _running(
        archive, dataset, planned, todo, tiles, config=config, executor=executor, scratch=own
    ) as run:
        _cut_all(run, todo, appeals(dataset), lambda: require_quiet(dataset))
    failed = todo.keys() & read_failed(dataset, planned.first_id).keys()
    return len(todo), len(failed)


@dataclass(frozen=True)
class _CutRun:
    """What all tasks of a run share."""

    archive: Path
    """Folder of the products."""
    dataset: Path
    """The dataset."""
    planned: Planned
    """The plan."""
    executor: Watched
    threads: int
    """Number of threads per task."""
    others: frozenset[str]
    """Tiles of which the archive has another product, which scan has not read."""
    scratch: Path
    """Folder of the temporary files of this run."""


@contextmanager
def _running(
    archive: Path,
    dataset: Path,
    planned: Planned,
    todo: dict[str, list[int]],
    tiles: pd.DataFrame,
    *,
    config: Config,
    executor: Executor,
    scratch: str = "",
) -> Iterator[_CutRun]:
    """Yield a run whose executor notices an archive that goes away.

    Args:
        archive: folder of the products.
        dataset: the dataset.
        planned: the plan.
        todo: shards to cut, by tile.
        tiles: the tile table.
        config: the settings.
        executor: runs the tasks.
        scratch: name of the run's own folder among temporary files; empty: all of them.
    """
    with watched(executor, archive, dataset, planned.paths(todo), planned.able.paths) as watching:
        yield _CutRun(
            archive,
            dataset,
            planned=planned,
            executor=watching,
            threads=_threads(config.run, executor),
            others=_with_other_products(tiles),
            scratch=dataset / SCRATCH / scratch,
        )


def _cut_twice(run: _CutRun, todo: dict[str, list[int]]) -> tuple[Decoded, tuple[str, ...]]:
    """Run the tasks, then cut again what the tasks of neighbours have overruled; returns what `_cut_all` does."""
    decoded, changed = _cut_all(run, todo, appeals(run.dataset))
    again = _overruled(run.dataset, run.planned)
    if not again:
        return decoded, changed
    more, others = _cut_all(run, again)
    return decoded + more, tuple(sorted({*changed, *others}))


def _cut_all(
    run: _CutRun,
    todo: dict[str, list[int]],
    appealed: frozenset[str] = frozenset(),
    require_alone: Callable[[], None] = lambda: None,
) -> tuple[Decoded, tuple[str, ...]]:
    """Run the tasks, and return the tiles that scan and plan must look at again.

    Unpacked files are deleted as soon as the last task that needs them has ended.

    Args:
        run: what all tasks share.
        todo: shards to cut, by tile.
        appealed: failures that no longer count.
        require_alone: called before a failure is noted; raises if another run may have caused it, which deletes
            temporary files when it begins.
    """
    archive, dataset, planned = run.archive, run.dataset, run.planned
    _close_before_rewriting(dataset, todo)
    bad = refused(planned, read_failed(dataset, planned.first_id))
    products = {tile_id: planned.products(tile_id, shards) for tile_id, shards in todo.items()}
    waiting = Counter(path for paths in products.values() for path in paths if is_packed(archive, path))
    unpack_cache = UnpackCache(run.scratch / UNPACKED, dict(waiting))
    tasks = Tasks(
        archive,
        dataset,
        planned,
        todo,
        threads=run.threads,
        unpack_cache=unpack_cache,
        presence=run.executor.look,
        refused={t: kind for t, kind in bad.items() if t not in todo and failed_note(t) not in appealed},
        judged=judged(dataset, planned, todo),
    )
    decoded, changed = Decoded(), []
    try:
        for tile_id, outcome in track(run.executor.run(STAGE, cut_tile, tasks), STAGE, len(tasks)):
            if isinstance(outcome, Failure):
                require_alone()
                if _replaceable(
                    run, outcome
                ):  # before the note, which would keep the tile from being tried again
                    changed.append(tile_id)
                    overrule(dataset, planned.able.path(tile_id), Record.of_failure(outcome, archive))
                FailedTile(
                    plan=planned.first_id,
                    tile_id=tile_id,
                    error_class=outcome.error_class,
                    message=outcome.message,
                    stamp=stamp(archive, planned.able.path(tile_id)),
                    judged=FORMAT,
                ).write(dataset)
                if outcome.error_class == CHANGED:
                    changed.append(tile_id)
                    for path in products[tile_id]:
                        forget_record(dataset, path)
            else:
                remove(failed_path(dataset, tile_id))
                decoded += outcome.decoded
            waiting.subtract(products[tile_id] & waiting.keys())
            for path in products[tile_id]:
                if waiting[path] == 0:
                    unpack_cache.release(path)
    finally:
        memory.forget()
        shutil.rmtree(run.scratch, ignore_errors=True)
    return decoded, tuple(sorted(changed))


def _replaceable(run: _CutRun, failure: Failure) -> bool:
    """Return whether a tile is damaged, scan could not know, and the archive has another product of it."""
    return (
        failure.key in run.others
        and bool(run.planned.able[failure.key].exact)
        and is_lasting(failure.error_class)
    )


def _with_other_products(tiles: pd.DataFrame) -> frozenset[str]:
    """Return the tiles of which the archive has a product that scan has neither chosen nor refused."""
    unread = [TileStatus.SUPERSEDED, TileStatus.DUPLICATE, TileStatus.UNUSED]
    able = tiles["eligible"].eq(True)
    return frozenset(tiles.loc[~able & tiles["status"].isin(unread), "tile_id"].dropna())


def _overruled(dataset: Path, planned: Planned) -> dict[str, list[int]]:
    """Return the shards, by tile, to cut again because of what the tasks of other tiles found."""
    bad = refused(planned, read_failed(dataset, planned.first_id))
    return overruled(dataset, planned, partial(read_all, dataset, planned.plan_of), bad)


def _close_before_rewriting(dataset: Path, todo: dict[str, list[int]]) -> None:
    """Remove the root if published shards are written again. New shards do not disturb readers."""
    shards = [shard for group in todo.values() for shard in group]
    if not published_files(dataset).isdisjoint(map(shard_name, shards)):
        remove(dataset / ROOT)
    for shard in shards:
        remove(dataset / commit_name(shard))


def _threads(config: RunConfig, executor: Executor) -> int:
    """Return the threads per task, so that all workers of this machine together use its cores."""
    if config.threads:
        return config.threads
    return max(1, cores() // executor.workers) if config.scheduler in ("", "inline") else 1
