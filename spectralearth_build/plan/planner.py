"""The plan stage: from the tile table to all locations and patches, with their store rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
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
from spectralearth_build.plan.assemble import PlanTables, assemble
from spectralearth_build.plan.candidates import candidates, leave_out, reject_poor
from spectralearth_build.plan.estimates import duration, estimate, readable
from spectralearth_build.plan.fingerprint import (
    difference,
    identity,
    inputs_of,
    settings_of,
    tile_changes,
    with_defaults,
    without_defaults,
)
from spectralearth_build.plan.grow import (
    Before,
    Flags,
    is_live,
    joined,
    retire,
    stale_patches,
    touched,
    windows_of,
)
from spectralearth_build.plan.tasks import run_tasks
from spectralearth_build.plan_document import Estimate, Generation, Inputs, PlanDocument
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES
from spectralearth_build.texts import counted, listed

PLANNED = (OVERLAPS, TUPLES, LOCATIONS, PATCHES, TILES)


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
            f"{duration(expected.core_seconds / workers)} to cut with {counted(workers, 'worker')}",
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
    tiles = TILES.read(newest(dataset, TILES.file).parent)
    inputs = inputs_of(config, tiles)
    record = _record(newest(dataset, PLAN))
    if record is not None and record.inputs == inputs:
        return _plan_of(record, fresh=False)
    folder, before = plan_in_use(dataset), Before()
    record = _record(folder / PLAN) if folder else None
    if folder and record is not None:
        before = Before(record.inputs, record.generations, read_tables(folder))
        if before.inputs == inputs:
            return _as_before(dataset, tiles, config, before, record)
        _refuse(before, inputs, config.plan.replace_versions, dataset, tiles)
    judged, tables, generation = _grown(
        before, tiles, inputs=inputs, dataset=dataset, config=config, executor=executor
    )
    waiting = pc.invert(
        pc.is_in(tables.patches["status"], pa.array([PatchStatus.WRITTEN, PatchStatus.RETIRED]))
    )
    expected = estimate(
        tables.patches.select(["tile_id"]).filter(waiting).to_pandas(), judged, config.store.codec
    )
    grown = (*before.generations, generation)
    record = PlanDocument(generation.id, inputs, grown, _counts(judged, tables), expected)
    remove(table_folder(dataset) / MAP)  # it shows another plan
    with replaced_together(dataset) as folder:
        for table, frame in zip(PLANNED, (*vars(tables).values(), judged), strict=True):
            table.write(frame, folder, record.ids)
        write_bytes(folder / PLAN, record.encode())
    return _plan_of(record, fresh=True)


def _as_before(
    dataset: Path, tiles: gpd.GeoDataFrame, config: Config, before: Before, record: PlanDocument
) -> Plan:
    """Discard a waiting plan of which nothing was cut, because the tiles are again those of the plan in use."""
    forget_plan(dataset)
    judged = leave_out(reject_poor(tiles, config.quality), config.plan)
    TILES.write(_with_final_status(judged, before.tables), table_folder(dataset))
    return _plan_of(record, fresh=False)


def read_tables(dataset: Path) -> PlanTables:
    """Read the tables of a plan."""
    return PlanTables(*(table.read_arrow(dataset) for table in PLANNED[:-1]))


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
    folder = plan_in_use(dataset)
    try:
        patches = PATCHES.read_arrow(folder) if folder else PATCHES.schema.empty_table()
    except (BuildError, OSError, pa.ArrowException):
        return frozenset()  # damaged: the next stage reports it
    cut = _cut(patches, dataset) & is_live(patches)
    return frozenset(patches["sources"].filter(pa.array(cut)).combine_chunks().flatten().to_pylist())


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
        _cut_of(names, before.tables.patches, dataset)
        for names in (change.gone, change.changed, change.replaced)
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


def _cut_of(tiles: Collection[str], patches: pa.Table, dataset: Path) -> bool:
    """Whether patches with pixels of any of these tiles may have been cut."""
    return bool((stale_patches(patches, tiles) & _cut(patches, dataset)).any())


def _cut(patches: pa.Table, dataset: Path) -> Flags:
    """Which patches may have been cut: bool [patch]."""
    committed = committed_shards(dataset)
    inside = pc.is_in(patches["shard"], pa.array(committed, pa.int64())).to_numpy()
    skipped = pc.equal(patches["status"], PatchStatus.SKIPPED).to_numpy()
    return np.asarray(inside & ~skipped, np.bool_)


def _grown(
    before: Before, tiles: gpd.GeoDataFrame, inputs: Inputs, dataset: Path, config: Config, executor: Executor
) -> tuple[gpd.GeoDataFrame, PlanTables, Generation]:
    """Plan what changed; returns the tile table, the plan tables and the new entry of ``generations``."""
    change = tile_changes(before.inputs, inputs)
    again = sorted((*change.replaced, *change.changed))
    changed = {*change.new, *again, *change.gone}
    judged = leave_out(reject_poor(tiles, config.quality), config.plan)
    able = candidates(judged)
    groups, gone = touched(able, changed, before.tables)
    stale = stale_patches(before.tables.patches, [*again, *change.gone])
    standing = before.tables.patches.filter(is_live(before.tables.patches) & ~stale)
    known = before.known(standing)
    windows = windows_of(before.tables.locations, standing, groups)
    planned = run_tasks(groups, windows, candidates=able, dataset=dataset, config=config, executor=executor)
    new = assemble(planned, able, config.store.shard_rows, known)
    del planned  # otherwise memory use doubles
    products = {name: inputs["tiles"][name][0] for name in again}
    retired = retire(before.tables.patches, stale, new.patches["patch_id"], products)
    tables = joined(replace(before.tables, patches=retired), new, groups, gone)
    came = {name: inputs["tiles"][name] for name in sorted(changed - {*change.gone})}
    added = Inputs(settings=inputs["settings"], tiles=came)
    where = new.patches["location_id"]
    generation = Generation(
        id=identity(before.id, added, new.patches),
        first_shard=known.shards,
        shards=pc.count_distinct(new.patches["shard"]).as_py(),
        new_tiles=change.new,
        replaced_tiles=tuple(again),
        patches=len(new.patches),
        retired=int(stale.sum()),
        locations=len(new.locations),
        series=pc.count_distinct(where.filter(pc.is_in(where, known.locations))).as_py(),
    )
    return _with_final_status(judged, tables), tables, generation


def _with_final_status(tiles: gpd.GeoDataFrame, tables: PlanTables) -> gpd.GeoDataFrame:
    used = pc.unique(tables.patches["sources"].filter(is_live(tables.patches)).combine_chunks().flatten())
    open_ones = (tiles["status"] == TileStatus.UNUSED) & (tiles["reason"] == "")
    taken = open_ones & tiles["tile_id"].isin(used.to_pylist())
    tiles.loc[taken, "status"] = TileStatus.USED
    tiles.loc[open_ones & ~taken, "reason"] = "no window that is valid and clear enough was placed on it"
    return tiles


def _counts(tiles: pd.DataFrame, tables: PlanTables) -> dict[str, Any]:
    dates, count = np.unique(tables.locations["n"].to_numpy(), return_counts=True)
    return {
        "tiles_used": int((tiles["status"] == TileStatus.USED).sum()),
        "components": pc.count_distinct(tables.locations["component"]).as_py(),
        "tuples": len(tables.tuples),
        "locations": len(tables.locations),
        "patches": int(is_live(tables.patches).sum()),
        "locations_by_dates": {str(n): many for n, many in zip(dates.tolist(), count.tolist(), strict=True)},
    }


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
