"""The stage that gives labels to the patches of a dataset: one task per tile writes whole shards, each with a record.

As in cutting, only the records say what was done, so a run may stop anywhere, and the same command continues it. It
makes only shards that are missing (because the dataset has grown) or that differ from their record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from spectralearth_build.archive.watched import sharing
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.files import delete_partials, remove, write_bytes
from spectralearth_build.journal import recover, refuse_half_grown
from spectralearth_build.labels.cut_patches import CutShards, PatchPlaces
from spectralearth_build.labels.define import Given, Request, define, kind_of
from spectralearth_build.labels.label_raster import Kind, open_label_raster
from spectralearth_build.labels.pair_task import PairTask, PatchToLabel, pair_shards
from spectralearth_build.labels.reach import reach
from spectralearth_build.layout import LABEL_NAME, MANIFEST, ROOT, label_definition, label_record, label_shard
from spectralearth_build.progress import track
from spectralearth_build.publishing.final_status import given_up
from spectralearth_build.publishing.publish import publish
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.label_arrays import is_whole
from spectralearth_build.store.labels import (
    Definition,
    LabelRecord,
    decode_definition,
    made_of,
    records_of,
)
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.store.planned_patches import location_ids
from spectralearth_build.tables import LABELS, PATCHES
from spectralearth_build.texts import counted, listed

STAGE = "pair"
FEW = 8
"""Up to this number of rasters, every task opens all of them."""
_TOGETHER = 64
"""Number of shards whose hashes one task checks."""


@dataclass(frozen=True)
class Paired:
    """The result of a run."""

    shards: dict[str, int]
    """Number of shards that this run made, by label."""
    table: pd.DataFrame
    """labels.parquet with all labels of the dataset."""


def pair(dataset: Path, requests: Sequence[Request], executor: Executor, anew: bool = False) -> Paired:
    """Make the requested labels that do not exist yet, then publish.

    Args:
        dataset: the dataset, cut and published.
        requests: the labels.
        executor: runs the tasks.
        anew: replace existing labels of the same names, whatever they were made from.

    Raises:
        UsageError: the dataset is not finished, a raster cannot be used, or a label of that name was made differently.
        DamagedError: some patches could not be labelled; all others were.
        OutOfSpaceError: the disk is full.
        StoppedError: a signal was received.
    """
    dataset = dataset.absolute()  # workers may run in another folder
    work = _opened(dataset, executor)
    definitions = [define(request) for request in requests]
    for definition in definitions:  # check everything before the first change
        if not anew:
            work.refuse_others(definition)
    shards, failed = {}, list[Failure]()
    for request, definition in zip(requests, definitions, strict=True):
        todo = work.outstanding(definition, anew)
        work.prepare(definition, todo)
        failed += work.run(definition, request.ordered, todo)
        shards[definition.label] = len(todo)
    publish(dataset)
    if failed:
        raise DamagedError(
            f"{counted(len(failed), 'group')} of patches could not be labelled; the first, {failed[0].key}: "
            f"{failed[0].message}",
            dataset,
            "Fix the cause, then run the same command again; finished work is kept.",
        )
    return Paired(shards, LABELS.read(dataset))


def drop(dataset: Path, label: str) -> None:
    """Remove a label from a dataset.

    Raises:
        UsageError: there is no such label, or the dataset is not finished.
    """
    _opened(dataset, InlineExecutor())
    path = dataset / label_definition(label)
    # If an earlier run was stopped, the definition may be gone while its records still exist.
    if not LABEL_NAME.fullmatch(label) or not (path.is_file() or made_of(dataset, label)):
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise UsageError(f"There is no label '{label}'; there are: {known}.", dataset, "Name one of them.")
    remove(dataset / ROOT)
    remove(path)
    publish(dataset)


@dataclass(frozen=True)
class _PairWork:
    """A dataset to label."""

    dataset: Path
    planned: Planned
    commits: CutShards
    """The shards of pixels."""
    executor: Executor

    def refuse_others(self, definition: Definition) -> None:
        """Refuse to mix labels of one name that were made differently."""
        path = self.dataset / label_definition(definition.label)
        try:
            changed = definition.differences(decode_definition(path.read_bytes()))
        except (FileNotFoundError, ValueError):  # missing or damaged: the records have its id
            others = made_of(self.dataset, definition.label) - {definition.id}
            changed = ["its rasters or options were different"] if others else []
        if changed:
            raise UsageError(
                f"Label {definition.label} exists already and was made differently:{listed(changed, 6)}",
                path,
                "Use the same rasters and options, or another name, or --anew to replace the label.",
            )

    def outstanding(self, definition: Definition, anew: bool) -> list[int]:
        """Shards that do not exist, are damaged, or lack labels of some of their patches."""
        if anew:
            return sorted(self.commits)
        held = [
            record
            for record in records_of(self.dataset, definition, self.planned.plan_of)
            if record.shard in self.commits
            and [patch.row for patch in record.patches] == list(self.commits[record.shard].rows)
        ]
        whole = _whole(self.dataset, held, self.executor)
        return [shard for shard in sorted(self.commits) if shard not in whole]

    def prepare(self, definition: Definition, todo: list[int]) -> None:
        """Write the definition and delete outdated records. The store's root is removed first if anything changes."""
        path = self.dataset / label_definition(definition.label)
        defined = path.is_file() and path.read_bytes() == definition.data
        names = (f(definition.label, shard) for shard in todo for f in (label_record, label_shard))
        stale = [self.dataset / name for name in names if (self.dataset / name).is_file()]
        if stale or (path.is_file() and not defined):
            remove(self.dataset / ROOT)
        if not defined:
            write_bytes(path, definition.data)
        for each in stale:
            if each.suffix == ".json":
                remove(each)

    def run(self, definition: Definition, rasters: tuple[Given, ...], todo: list[int]) -> list[Failure]:
        """Make shards; returns the failures."""
        reaches = _reaches(rasters, kind_of(definition)) if todo and len(rasters) > FEW else None
        tasks = _PairTasks(self, definition, rasters, self._by_tile(todo), reaches)
        files = [Path(raster.path) for raster in rasters]
        with sharing(self.executor, self.dataset, files) as sharers:
            steps = track(sharers.run(STAGE, pair_shards, tasks), f"{STAGE} {definition.label}", len(tasks))
            return [outcome for _, outcome in steps if isinstance(outcome, Failure)]

    def places(self, shard: int) -> tuple[PatchToLabel, ...]:
        """The patches of a shard, including retired ones, in order of their rows."""
        return self._patches.of(self.commits[shard].rows)

    def ground(self, shards: Sequence[int]) -> shapely.Geometry:
        """The area of the patches of shards, in longitude and latitude."""
        rows = tuple(row for shard in shards for row in self.commits[shard].rows)
        names = location_ids(np.unique(self._patches.windows(rows), axis=0)).to_pylist()
        return shapely.union_all(self._outlines.loc[names].to_numpy())

    @cached_property
    def _outlines(self) -> pd.Series:
        return self.planned.locations.set_index("location_id").geometry

    @cached_property
    def _patches(self) -> PatchPlaces:
        return PatchPlaces(self.planned.folders[PATCHES.file])

    def _by_tile(self, shards: list[int]) -> dict[str, list[int]]:
        """Shards by tile; the patches of a tile are close to each other on the ground."""
        found: dict[str, list[int]] = {}
        for shard in shards:
            found.setdefault(self.commits[shard].tile_id, []).append(shard)
        return found


@dataclass(frozen=True)
class _PairTasks(Mapping[str, tuple[Path, PairTask]]):
    """Arguments of `pair_shards` by tile, made on access."""

    work: _PairWork
    definition: Definition
    rasters: tuple[Given, ...]
    shards: Mapping[str, list[int]]
    reaches: npt.NDArray[np.object_] | None
    """Area where each raster may have pixels; None if every task opens all rasters."""

    def __getitem__(self, tile_id: str) -> tuple[Path, PairTask]:
        plans = {shard: self.work.planned.plan_of(shard) for shard in self.shards[tile_id]}
        places = {shard: self.work.places(shard) for shard in plans}
        rows = self.work.planned.shard_rows
        rasters = self._reaching(list(places))
        return self.work.dataset, PairTask(self.definition, rasters, plans, rows, places)

    def _reaching(self, shards: list[int]) -> tuple[Given, ...]:
        if self.reaches is None:
            return self.rasters
        near = shapely.intersects(self.reaches, self.work.ground(shards))
        return tuple(raster for raster, may in zip(self.rasters, near, strict=True) if may)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shards)

    def __len__(self) -> int:
        return len(self.shards)


def _reaches(rasters: Sequence[Given], kind: Kind) -> npt.NDArray[np.object_]:
    found = np.empty(len(rasters), object)
    for number, raster in enumerate(rasters):
        with open_label_raster(raster.path, kind) as source:
            found[number] = reach(source)
    return found


def whole_shards(dataset: Path, records: Sequence[LabelRecord]) -> list[int]:
    """Shards that exist and have the hash of their record."""
    return [record.shard for record in records if is_whole(dataset, record)]


def _opened(dataset: Path, executor: Executor) -> _PairWork:
    """Open a finished dataset, after deleting leftovers of an interrupted run."""
    delete_partials(dataset)
    recover(dataset)
    if not (dataset / MANIFEST).is_file():
        raise UsageError(f"The dataset is unfinished: {MANIFEST} is missing.", dataset, "Run `build` first.")
    refuse_half_grown(dataset)
    planned = load_plan(dataset)
    planned.require_readable()
    commits = CutShards(dataset, planned.plan_of)
    given_up(
        planned, commits, read_failed(dataset, planned.first_id)
    )  # refuses a dataset that is not completely cut
    return _PairWork(dataset, planned, commits, executor)


def _whole(dataset: Path, records: Sequence[LabelRecord], executor: Executor) -> set[int]:
    """The same, in tasks; shards that cannot be read are not whole."""
    starts = range(0, len(records), _TOGETHER)
    tasks = {f"{start}": (dataset, records[start : start + _TOGETHER]) for start in starts}
    with sharing(executor, dataset) as sharers:
        found = track(sharers.run("hash", whole_shards, tasks), "check labels", len(tasks))
        return {shard for _, part in found if not isinstance(part, Failure) for shard in part}
