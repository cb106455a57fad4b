"""The plan stage: from the tile table to all locations and patches, with their store rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.archive.correction import of_other_quantity
from spectralearth_build.cluster import Executor
from spectralearth_build.config import Config
from spectralearth_build.errors import BuildError, PlanChangedError
from spectralearth_build.files import remove, write_bytes
from spectralearth_build.journal import (
    forget_plan,
    newest,
    plan_in_use,
    recover,
    replaced_together,
    table_folder,
)
from spectralearth_build.layout import MAP, PLAN, PatchStatus, TileStatus, committed_shards
from spectralearth_build.plan.before import (
    Before,
    Dates,
    Retiring,
    dates_of,
    retiring_of,
    stale_patches,
    untouched,
    with_new,
)
from spectralearth_build.plan.candidates import (
    JUDGED,
    candidates,
    leave_out,
    reject_poor,
    with_final_status,
    write_judged,
)
from spectralearth_build.plan.estimates import estimate, readable
from spectralearth_build.plan.fingerprint import (
    difference,
    identity,
    in_form_of,
    inputs_of,
    settings_of,
    tile_changes,
    with_defaults,
    without_defaults,
)
from spectralearth_build.plan.gather import Gathered, Numbering
from spectralearth_build.plan.grow import touched, windows_of
from spectralearth_build.plan.tasks import run_tasks
from spectralearth_build.plan.write_tables import sources_of, write_tables
from spectralearth_build.plan_document import Estimate, Generation, Inputs, PlanDocument
from spectralearth_build.scratch import scratch_of
from spectralearth_build.tables import OVERLAPS, PATCHES, TILES, TUPLES
from spectralearth_build.texts import counted, duration, listed


@dataclass(frozen=True)
class Plan:
    """Summary of a plan."""

    id: str
    """SHA-256 of inputs and rows; every commit record and the manifest contain it."""
    counts: Mapping[str, Any]
    """tiles_used, components, tuples, locations, patches and locations_by_dates."""
    generations: tuple[Generation, ...]
    """The generations of the dataset: the tiles of each, and the number of shards, patches and locations."""
    estimate: Estimate
    """Estimated cost of cutting all patches that were not written when the plan was made."""
    fresh: bool
    """Whether the plan is new; False if the same plan existed already."""

    def summary(self, workers: int = 1) -> list[str]:
        """The plan for people, as lines of text, for a number of workers."""
        by_dates = ", ".join(f"{n} with {dates}" for dates, n in self.counts["locations_by_dates"].items())
        expected, last = self.estimate, self.generations[-1]
        tiles = len(last.new_tiles) + len(last.replaced_tiles)
        grown = (
            f"grown by {counted(last.patches, 'patch', 'patches')} from {counted(tiles, 'new tile')}, at "
            f"{counted(last.locations, 'new location')} and {counted(last.series, 'existing one')}"
        )
        return [
            f"{counted(self.counts['patches'], 'patch', 'patches')} at "
            f"{counted(self.counts['locations'], 'location')} from {counted(self.counts['tiles_used'], 'tile')} in "
            f"{counted(self.counts['components'], 'component')}",
            *([grown] if len(self.generations) > 1 else []),
            f"locations by number of dates: {by_dates or 'none'}",
            f"{readable(expected.raw_bytes)} raw, about {readable(expected.stored_bytes)} stored; "
            f"{readable(expected.worker_bytes)} memory per worker; about "
            f"{duration(max(1.0, expected.core_seconds / workers))} to cut with {counted(workers, 'worker')}",
        ]


def plan(dataset: Path, config: Config, executor: Executor) -> Plan:
    """Plan a dataset or its growth, unless inputs and settings are those of the existing plan.

    Reads tiles.parquet and the masks; writes overlaps, tuples, locations and patches, the status of each tile, and
    plan.json, all together. Once shards were cut, new tiles make the plan grow; before that, the whole plan is made
    again. The files of a grown plan wait in work/next until cut publishes them (see `journal`).

    Raises:
        PlanChangedError: shards were already cut, and more than new tiles has changed; it names the changes.
        UsageError: there is no tile table, or masks are missing.
    """
    recover(dataset)
    tiles = TILES.read(newest(dataset, TILES.file).parent, JUDGED)
    inputs = inputs_of(config, tiles)
    record = _record(newest(dataset, PLAN))
    if record is not None and record.inputs == in_form_of(record.inputs, inputs):
        return _plan_of(record, fresh=False)
    folder, before = plan_in_use(dataset), Before()
    record = _record(folder / PLAN) if folder else None
    if folder and record is not None:
        before, inputs = Before(record.inputs, record.generations, folder), in_form_of(record.inputs, inputs)
        if before.inputs == inputs:
            return _as_before(dataset, tiles, config, before, record)
        _refuse(before, inputs, config.plan.replace_versions, dataset, tiles)
    with (
        scratch_of(dataset) as scratch,
        TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as temporary,
    ):
        growth = _grown(before, tiles, inputs, dataset, config, executor, Path(temporary))
        record = _written(growth, before, inputs, dataset, config)
    return _plan_of(record, fresh=True)


def _as_before(
    dataset: Path, tiles: gpd.GeoDataFrame, config: Config, before: Before, record: PlanDocument
) -> Plan:
    """Discard a waiting plan of which nothing was cut, because the tiles are again those of the plan in use."""
    forget_plan(dataset)
    used = {name for rows in before.rows(PATCHES, ["sources", "status"]) for name in sources_of(rows)}
    judged = with_final_status(leave_out(reject_poor(tiles, config.quality), config.plan), used)
    write_judged(judged, newest(dataset, TILES.file).parent, table_folder(dataset))
    return _plan_of(record, fresh=False)


def refuse_other_settings(dataset: Path, config: Config) -> None:
    """Refuse settings that `plan` would refuse for any tiles. Call this before scanning.

    Raises:
        PlanChangedError: shards were cut with other settings.
        ConfigError: the region file cannot be read.
    """
    settings, folder = settings_of(config), plan_in_use(dataset)
    record = _record(folder / PLAN) if folder else None
    if record is not None:
        asked = Inputs(settings=settings, tiles=record.inputs["tiles"])
        _refuse(Before(record.inputs), asked, config.plan.replace_versions, dataset)


def tiles_in_use(dataset: Path) -> frozenset[str]:
    """Ids of the tiles that must stay in the archive, because patches were cut from them."""
    used: set[str] = set()
    try:
        for rows in _cut_patches(Before(folder=plan_in_use(dataset)), dataset):
            used.update(sources_of(rows))
    except (BuildError, OSError, pa.ArrowException):
        return frozenset()  # damaged: the next stage reports it
    return frozenset(used)


def _refuse(
    before: Before, new: Inputs, replace: bool, dataset: Path, tiles: pd.DataFrame | None = None
) -> None:
    """Refuse changes that are not allowed, and name them.

    New tiles are allowed. Other tiles may change or disappear as long as nothing was cut from them. With ``replace``,
    tiles may be replaced by other versions or other content.
    """
    old = before.inputs
    change = tile_changes(old, new)
    gone, changed, replaced = (
        _cut_of(names, before, dataset) for names in (change.gone, change.changed, change.replaced)
    )
    forbidden = gone or ((changed or replaced) and not replace)
    if old["settings"] == new["settings"] and not forbidden:
        return
    remedy = "Use the old settings and tiles, or choose a new dataset folder."
    if (changed or replaced) and not replace:
        remedy += " To use other versions or contents of tiles, set plan.replace_versions = true."
    what = f"Shards were already cut from a different plan:{listed(difference(old, new))}"
    if tiles is not None and old["settings"] == new["settings"]:
        what += of_other_quantity(tiles, {*change.gone, *change.changed, *change.replaced}).lstrip()
    raise PlanChangedError(what, dataset, remedy)


def _cut_of(tiles: Collection[str], before: Before, dataset: Path) -> bool:
    """Whether patches with pixels of any of these tiles may have been cut."""
    return bool(tiles) and any(stale_patches(rows, tiles).any() for rows in _cut_patches(before, dataset))


def _cut_patches(before: Before, dataset: Path) -> Iterator[pa.Table]:
    """Yield the patches that may have been cut, with their sources and status."""
    committed = pa.array(committed_shards(dataset), pa.int64())
    for rows in before.rows(PATCHES, ["sources", "status", "shard"]):
        skipped = pc.equal(rows["status"], PatchStatus.SKIPPED)
        yield rows.filter(pc.and_(pc.is_in(rows["shard"], committed), pc.invert(skipped)))


@dataclass(frozen=True)
class _Growth:
    """What a growth changes."""

    judged: gpd.GeoDataFrame
    """The tile table, with the status of tiles that are not candidates."""
    new: Gathered
    """The new rows."""
    retiring: Retiring
    dates: Dates
    """The locations whose number of dates changes."""
    renumbered: Mapping[int, int]
    """New numbers of components."""
    generation: Generation


def _grown(
    before: Before,
    tiles: gpd.GeoDataFrame,
    inputs: Inputs,
    dataset: Path,
    config: Config,
    executor: Executor,
    temporary: Path,
) -> _Growth:
    """Plan what changed; the new rows are in the folder ``temporary``."""
    change = tile_changes(before.inputs, inputs)
    again = sorted((*change.replaced, *change.changed))
    changed = {*change.new, *again, *change.gone}
    retiring = retiring_of(before, {name: inputs["tiles"][name][0] for name in again}, change.gone)
    judged = leave_out(reject_poor(tiles, config.quality), config.plan)
    able = candidates(judged)
    groups, gone = touched(able, changed, before, retiring)
    windows = windows_of(before, retiring, groups)
    numbering = Numbering(config.store.shard_rows, before.shards, len(before.generations))
    new = Gathered(temporary, able, numbering)
    for rows in untouched(before, OVERLAPS, gone):
        new.keep_overlaps(rows)
    for rows in untouched(before, TUPLES, gone):
        new.keep_tuples(rows)
    for part in run_tasks(groups, windows, able, dataset, config, executor, new.inbox):
        new.add(part)
    came = {name: inputs["tiles"][name] for name in sorted(changed - {*change.gone})}
    added = Inputs(settings=inputs["settings"], tiles=came)
    generation = Generation(
        id=identity(before.id, added, new.named_patches()),
        first_shard=before.shards,
        shards=new.shards,
        new_tiles=change.new,
        replaced_tiles=tuple(again),
        patches=new.patches_count,
        retired=len(retiring.stale),
        locations=new.locations_count,
        series=len(new.grown),
    )
    return _Growth(
        judged,
        new,
        with_new(retiring, new.named_patches()),
        dates_of(before, retiring, new.grown),
        {old: group.number for group in groups for old in group.replaces},
        generation,
    )


def _written(growth: _Growth, before: Before, inputs: Inputs, dataset: Path, config: Config) -> PlanDocument:
    """Write the tables and plan.json; returns the content of the latter."""
    new, source = growth.new, newest(dataset, TILES.file).parent
    grown = (*before.generations, growth.generation)
    plans = tuple(generation.id for generation in grown)
    remove(table_folder(dataset) / MAP)  # it shows another plan
    with replaced_together(dataset) as folder:
        tally = write_tables(folder, plans, before, new, growth.retiring, growth.dates, growth.renumbered)
        judged = with_final_status(growth.judged, tally.used)
        write_judged(judged, source, folder, plans)
        used = int((judged["status"] == TileStatus.USED).sum())
        expected = estimate(tally.waiting, tally.to_read, judged, config.store.codec)
        counts = tally.counts(used, new.tuples_count)
        record = PlanDocument(growth.generation.id, inputs, grown, counts, expected)
        write_bytes(folder / PLAN, record.encode())
    return record


def of_before(data: bytes) -> bytes:
    """A plan's record as earlier versions with fewer settings wrote it."""
    plan = PlanDocument.decode(data)
    return plan.with_inputs(without_defaults(plan.inputs)).encode()


def _record(path: Path) -> PlanDocument | None:
    if not path.is_file():
        return None
    record = PlanDocument.read(path)
    return record.with_inputs(with_defaults(record.inputs))


def _plan_of(record: PlanDocument, fresh: bool) -> Plan:
    expected = record.estimate or Estimate(0, 0, 0, 0.0)
    return Plan(record.id, record.counts, record.generations, expected, fresh)
