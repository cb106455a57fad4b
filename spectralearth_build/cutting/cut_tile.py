"""The task of cut: read one tile, cut its patches, and write whole shards, each followed by its commit record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from spectralearth_build.cutting.compose import compose
from spectralearth_build.cutting.sources import Decoded, SourceCache
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.errors import ProductError
from spectralearth_build.layout import shard_path
from spectralearth_build.store import statistics
from spectralearth_build.store.codec import PATCH_SHAPE, Patch, checksum_of, encode_patch
from spectralearth_build.store.commit import Commit, Skipped
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.shard import Written, shard_writer
from spectralearth_build.store.statistics import BandStatistics
from spectralearth_build.threads import in_order, workers

AHEAD = 2
"""Maximum number of encoded patches that wait for the writer."""


@dataclass(frozen=True)
class TileCut:
    """The result of a task."""

    patches: int
    """Number of patches written."""
    decoded: Decoded
    """Bytes decoded."""


@dataclass(frozen=True)
class PatchOutcome:
    """The entry of a patch in the commit record."""

    patch: PlannedPatch
    statistics: BandStatistics
    checksum: int
    """Checksum of its pixels."""
    reason: str
    """Reason why it was left out; empty: it was written."""


@dataclass(frozen=True)
class EncodedPatch:
    """A patch to be written to a shard."""

    outcome: PatchOutcome
    data: bytes
    """Encoded patch; empty if it was left out."""


def cut_tile(archive: Path, dataset: Path, task: TileTask) -> TileCut:
    """Read a tile once, cut its patches, and write its shards.

    Worker threads decode and encode. This thread opens products and writes.

    Raises:
        ProductError: The tile cannot be read. Unreadable neighbours only affect the patches that they share.
    """
    patches = [patch for group in task.shards.values() for patch in group]
    with SourceCache(archive, dataset, task, patches) as sources, workers(task.threads) as pool:
        done = in_order(pool, _jobs(task, patches, sources), AHEAD + task.threads)
        encoded: Iterator[EncodedPatch] = (result for result in done if result is not None)
        first = next(encoded)  # decode the tile before writing any shard, so that a damaged one leaves none
        encoded = chain([first], encoded)
        commits = [
            _write_shard(dataset, task, shard, islice(encoded, len(group)), sources.keep_corrected)
            for shard, group in task.shards.items()
        ]
        return TileCut(sum(len(commit.rows) for commit in commits), sources.decoded)


def _jobs(
    task: TileTask, patches: list[PlannedPatch], sources: SourceCache
) -> Iterator[Callable[[], EncodedPatch | None]]:
    """Yield jobs that decode the tile, then make its patches, each after the required parts of neighbours."""
    tile = sources.reader(task.tile_id)
    yield from (partial(tile.read, number) for number in range(len(tile.parts)))
    for patch in patches:
        for name in patch.sources:
            if name not in sources:
                yield from _neighbour(sources, name)
        yield partial(_encode, patch, sources, task)


def _neighbour(sources: SourceCache, name: str) -> Iterator[Callable[[], None]]:
    """Yield jobs that decode a neighbour. Errors are raised by the patches that need it."""
    try:
        reader = sources.reader(name)
    except ProductError:
        return
    for number in range(len(reader.parts)):

        def read(number: int = number) -> None:
            with suppress(ProductError):
                reader.read(number)

        yield read


def _encode(patch: PlannedPatch, sources: SourceCache, task: TileTask) -> EncodedPatch:
    """Compose a patch and encode it."""
    pixels, reason = compose(patch, sources, _own_patch())
    if reason:
        task.presence()  # tell an unreadable neighbour from an unavailable archive
        return EncodedPatch(PatchOutcome(patch, BandStatistics(), 0, reason), b"")
    checksum = checksum_of(pixels)  # first, before any encoding touches the pixels
    outcome = PatchOutcome(patch, statistics.of_patch(pixels), checksum, "")
    return EncodedPatch(outcome, encode_patch(pixels, task.codec))


_held = threading.local()


def _own_patch() -> Patch:
    """Return memory of this thread for one patch, which the next patch overwrites."""
    patch: Patch | None = getattr(_held, "patch", None)
    if patch is None:
        patch = _held.patch = np.empty(PATCH_SHAPE, np.int16)
    return patch


def _write_shard(
    dataset: Path,
    task: TileTask,
    shard: int,
    patches: Iterable[EncodedPatch],
    before_commit: Callable[[], None],
) -> Commit:
    """Write one shard from the next patches, then what its commit record depends on, then the record."""
    outcomes: list[PatchOutcome] = []
    with shard_writer(shard_path(dataset, shard), task.shard_rows) as writer:
        for each in patches:
            outcomes.append(each.outcome)
            if not each.outcome.reason:
                writer.add(each.outcome.patch.row - shard * task.shard_rows, each.data)
    commit = _commit_of(task, shard, outcomes, writer.written)
    before_commit()
    commit.write(dataset)
    return commit


def _commit_of(task: TileTask, shard: int, outcomes: Sequence[PatchOutcome], file: Written) -> Commit:
    """Return the commit record of a shard."""
    written = [outcome for outcome in outcomes if not outcome.reason]
    return Commit(
        plan=task.plans[shard],
        shard=shard,
        tile_id=task.tile_id,
        rows=tuple(outcome.patch.row for outcome in written),
        skipped=tuple(Skipped(each.patch.patch_id, each.reason) for each in outcomes if each.reason),
        size=file.size,
        sha256=file.sha256,
        statistics=statistics.total([outcome.statistics for outcome in written]),
        pixels=tuple(outcome.checksum for outcome in written),
    )
