"""A dataset before it grows, and its rows afterwards: one row group at a time, as a growth changes few of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.columns import Table
from spectralearth_build.geoparquet import NOWHERE, Extent
from spectralearth_build.layout import PatchStatus
from spectralearth_build.plan.assemble import replaced
from spectralearth_build.plan_document import Generation, Inputs
from spectralearth_build.tables import LOCATIONS, PATCHES

RETIRED = PatchStatus.RETIRED
COUNTED = pa.array([PatchStatus.PLANNED, PatchStatus.WRITTEN])
"""Statuses with which a patch counts as a date of its location."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Before:
    """A planned dataset before it grows; by default, one without a plan."""

    inputs: Inputs = field(default_factory=lambda: Inputs(settings={}, tiles={}))
    """Settings and tiles of its plan."""
    generations: tuple[Generation, ...] = ()
    """Its generations so far, as in plan.json."""
    folder: Path | None = None
    """The folder of its tables; None if there are none."""

    @property
    def id(self) -> str:
        """Id of the last generation; empty if there is none."""
        return self.generations[-1].id if self.generations else ""

    @property
    def shards(self) -> int:
        """Number of planned shards."""
        return self.generations[-1].stop_shard if self.generations else 0

    def rows(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of one of its tables, one row group at a time; see `Table.parts`."""
        return table.parts(self.folder, columns) if self.folder else iter(())

    def extent(self, table: Table) -> Extent:
        """The extent of all geometries of one of its tables."""
        return table.extent(self.folder) if self.folder else NOWHERE


def stale_patches(patches: pa.Table, replaced: Collection[str]) -> Flags:
    """Which patches have pixels of a replaced tile: bool [patch]."""
    stale = np.zeros(len(patches), np.bool_)
    if replaced:
        sources = patches["sources"].combine_chunks()
        gives = pc.is_in(sources.flatten(), pa.array(replaced, pa.string())).to_numpy(zero_copy_only=False)
        stale[pc.list_parent_indices(sources).to_numpy()[gives]] = True
    return stale & is_live(patches)


@dataclass(frozen=True)
class Retiring:
    """The patches that a newer version of a tile, or its absence, makes stale."""

    tiles: Collection[str]
    """Ids of the tiles that are replaced or gone."""
    products: Mapping[str, str]
    """The newer product of each replaced tile."""
    stale: pa.Table
    """patch_id and location_id of the stale patches."""
    again: pa.Array
    """Ids of those that are cut again."""


def retiring_of(before: Before, products: Mapping[str, str], gone: Collection[str]) -> Retiring:
    """Find the stale patches.

    Args:
        before: the dataset so far.
        products: the newer product of each replaced tile, by tile_id.
        gone: ids of the tiles that have no product any more.
    """
    tiles, names = (*products, *gone), ["patch_id", "location_id"]
    every = before.rows(PATCHES, [*names, "sources", "status"]) if tiles else iter(())
    stale = [rows.filter(pa.array(stale_patches(rows, tiles))).select(names) for rows in every]
    empty = PATCHES.schema.empty_table().select(names)
    return Retiring(tiles, products, pa.concat_tables([empty, *stale]), pa.array([], pa.string()))


def with_new(retiring: Retiring, patches: Iterable[pa.Table]) -> Retiring:
    """Note which stale patches are cut again, given all new patches in parts."""
    stale = retiring.stale["patch_id"].combine_chunks()
    if len(stale) == 0:
        return retiring
    found = [rows["patch_id"].filter(pc.is_in(rows["patch_id"], stale)) for rows in patches]
    again = [chunk for column in found for chunk in column.chunks]
    return replace(retiring, again=pa.concat_arrays([retiring.again, *again]))


def old_patches(before: Before, retiring: Retiring) -> Iterator[pa.Table]:
    """Yield the patches so far, with stale ones retired."""
    for rows in before.rows(PATCHES):
        yield retire(rows, stale_patches(rows, retiring.tiles), retiring.again, retiring.products)


@dataclass(frozen=True)
class Dates:
    """The number of dates of some locations."""

    locations: pa.Array
    """Their ids."""
    count: pa.Array
    """How many dates each has."""


def dates_of(before: Before, retiring: Retiring, grown: Mapping[str, int]) -> Dates:
    """Count the dates of the locations that lose or gain some.

    Args:
        before: the dataset so far.
        retiring: the patches that become stale.
        grown: number of new patches of each location that gains some.
    """
    names = sorted({*grown, *retiring.stale["location_id"].to_pylist()})
    ids = pa.array(names, pa.string())
    count = np.array([grown.get(name, 0) for name in names], np.int64)
    if names:
        for rows in before.rows(PATCHES, ["location_id", "sources", "status"]):
            stays = pa.array(counted(rows) & ~stale_patches(rows, retiring.tiles))
            at = pc.index_in(rows["location_id"].filter(stays), ids)
            count += np.bincount(at.drop_null().to_numpy(), minlength=len(ids))
    return Dates(ids, pa.array(count, pa.int32()))


def old_locations(before: Before, renumbered: Mapping[int, int], dates: Dates) -> Iterator[pa.Table]:
    """Yield the locations so far, with new numbers of dates, and of components that have a new number."""
    for rows in before.rows(LOCATIONS):
        old, which = np.unique(rows["component"].to_numpy(), return_inverse=True)
        numbers = np.array([renumbered.get(n, n) for n in old.tolist()], np.int64)[which]
        new = dates.count.take(pc.index_in(rows["location_id"], dates.locations))
        yield replaced(rows, {"component": numbers, "n": pc.coalesce(new, rows["n"])})


def untouched(before: Before, table: Table, gone: Collection[int]) -> Iterator[pa.Table]:
    """Yield the rows of overlaps or tuples that stay; those of components with these numbers are outdated."""
    outdated = pa.array(gone, pa.int64())
    for rows in before.rows(table):
        yield rows.filter(pc.invert(pc.is_in(rows["component"], outdated)))


def retire(patches: pa.Table, stale: Flags, again: pa.Array, products: Mapping[str, str]) -> pa.Table:
    """The patch table with stale patches retired.

    Args:
        patches: the table.
        stale: which rows of the table are stale.
        again: ids of the patches that are cut again.
        products: the newer product of each replaced tile, by tile_id; other tiles of stale patches are gone.
    """
    if not stale.any():
        return patches
    old = patches.filter(stale)
    cut = pc.is_in(old["patch_id"], again)
    reasons = [
        _reason(follows, _newer(sources, products))
        for follows, sources in zip(cut.to_pylist(), old["sources"].to_pylist(), strict=True)
    ]
    changed = {"status": pa.scalar(RETIRED), "reason": pa.array(reasons)}
    mask = pa.array(stale)
    return replaced(
        patches, {name: pc.replace_with_mask(patches[name], mask, value) for name, value in changed.items()}
    )


def is_live(patches: pa.Table) -> Flags:
    """Which patches are not retired: bool [patch]."""
    return np.asarray(pc.not_equal(patches["status"], RETIRED).to_numpy(), np.bool_)


def counted(patches: pa.Table) -> Flags:
    """Which patches count as dates of their locations: bool [patch]."""
    return np.asarray(pc.is_in(patches["status"], COUNTED).to_numpy(), np.bool_)


def _reason(follows: bool, newer: str) -> str:
    if not newer:
        return "Its source is gone; nothing was cut of it."
    if follows:
        return f"Replaced by pixels of {newer}."
    return f"No clear window in {newer}, which replaces its source."


def _newer(sources: Collection[str], products: Mapping[str, str]) -> str:
    return " and ".join(products[name] for name in sources if name in products)
