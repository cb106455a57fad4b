"""What the commit records of a dataset say together, read one by one, so that memory grows by a few bytes a patch."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.layout import shard_path
from spectralearth_build.store import statistics
from spectralearth_build.store.commit import Commit, records
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.store.shard_entries import ShardEntries
from spectralearth_build.store.statistics import BandStatistics

Integers = npt.NDArray[np.int64]

UNKNOWN = -1
"""Checksum of a row whose record has none."""


@dataclass(frozen=True)
class Committed:
    """The valid commit records of a dataset, joined."""

    plans: Mapping[int, str]
    """Id of the generation that each shard was cut for, by shard."""
    rows: Integers
    """Rows that were written, ascending, int64 [row]."""
    checksums: Integers
    """Checksum of the pixels of each of these rows, or `UNKNOWN`, int64 [row]."""
    skipped: Mapping[tuple[int, str], str]
    """Why a patch was not written, by shard and id of the patch."""
    bytes: int
    """Size of all shards."""
    statistics: BandStatistics
    """Statistics of the written patches that are not retired."""
    files: ShardEntries
    """Size and hash of shards and records, by path below the dataset."""

    def without_rows(self) -> Committed:
        """Return the same without rows and checksums, which need most of the memory."""
        nothing = np.empty(0, np.int64)
        return replace(self, rows=nothing, checksums=nothing)

    def find(self, rows: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.bool_], Integers]:
        """Return whether rows were written, and their checksums.

        Args:
            rows: rows of the store, int64 [row].
        """
        if not len(self.rows):
            return np.zeros(len(rows), np.bool_), np.full(len(rows), UNKNOWN)
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        there = self.rows[place] == rows
        return there, np.where(there, self.checksums[place], UNKNOWN)


def read_committed(dataset: Path, planned: Planned) -> Committed:
    """Read all records whose shards are there.

    Raises:
        PlanChangedError: A record belongs to another plan.
    """

    def live(commit: Commit) -> BandStatistics:
        return live_statistics(dataset, planned, commit)

    return joined(records(dataset, planned.plan_of), live)


def joined(found: Iterable[tuple[Commit, bytes]], live: Callable[[Commit], BandStatistics]) -> Committed:
    """Join records.

    Args:
        found: records in order of shards, each with the content of its file.
        live: returns the statistics of the patches of a shard that are not retired.
    """
    rows, checksums = array("q"), array("q")
    plans: dict[int, str] = {}
    skipped: dict[tuple[int, str], str] = {}
    files = ShardEntries()
    total, size = statistics.Sum(), 0
    for commit, data in found:
        plans[commit.shard] = intern(commit.plan)
        size += commit.size
        rows.extend(commit.rows)
        known = commit.checksums
        checksums.extend(known.get(row, UNKNOWN) for row in commit.rows)
        skipped |= {(commit.shard, each.patch_id): each.reason for each in commit.skipped}
        files.add(commit.shard, commit.size, commit.sha256, record=data)
        total.add(live(commit))
    every, sums = np.asarray(rows), np.asarray(checksums)
    if not (every[1:] > every[:-1]).all():  # shards in another order, or damaged records
        order = np.argsort(every, kind="stable")
        every, sums = every[order], sums[order]
    return Committed(
        plans=plans,
        rows=every,
        checksums=sums,
        skipped=skipped,
        bytes=size,
        statistics=total.total,
        files=files,
    )


def live_statistics(dataset: Path, planned: Planned, commit: Commit) -> BandStatistics:
    """Return statistics of the patches of a shard that are not retired. If only some are, pixels are read again."""
    rows = [row for row in commit.rows if row not in planned.retired_rows]
    if len(rows) == len(commit.rows):
        return commit.statistics
    if not rows:
        return BandStatistics()
    reader = ShardReader(shard_path(dataset, commit.shard), planned.shard_rows)
    first = commit.shard * planned.shard_rows
    patches = (reader.patch(row - first, planned.codec) for row in rows)
    return statistics.total(statistics.of_patch(patch) for patch in patches if patch is not None)
