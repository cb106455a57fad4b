"""Write the tables of a grown plan: the rows so far, then those of `gather`, one row group at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.layout import PatchStatus
from spectralearth_build.plan.before import Before, Dates, Retiring, is_live, old_locations, old_patches
from spectralearth_build.plan.gather import Gathered
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

DONE = pa.array([PatchStatus.WRITTEN, PatchStatus.RETIRED])
"""Statuses of patches that need not be cut."""


@dataclass
class Tally:
    """What is counted of the rows of the tables as they are written."""

    by_dates: Counter[int] = field(default_factory=Counter)
    """Number of locations by number of dates."""
    components: set[int] = field(default_factory=set)
    """Numbers of the components that have locations."""
    patches: int = 0
    """Number of patches that are not retired."""
    waiting: int = 0
    """Number of patches to cut."""
    to_read: set[str] = field(default_factory=set)
    """Ids of the tiles whose tasks cut them."""
    used: set[str] = field(default_factory=set)
    """Ids of the tiles of which patches that are not retired have pixels."""

    def locations(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield rows of the locations, and count them."""
        for rows in parts:
            dates, count = np.unique(rows["n"].to_numpy(), return_counts=True)
            self.by_dates.update(dict(zip(dates.tolist(), count.tolist(), strict=True)))
            self.components.update(pc.unique(rows["component"]).to_pylist())
            yield rows

    def of_patches(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield rows of the patches, and count them."""
        for rows in parts:
            live = is_live(rows)
            waiting = rows["tile_id"].filter(pc.invert(pc.is_in(rows["status"], DONE)))
            self.patches += int(live.sum())
            self.waiting += len(waiting)
            self.to_read.update(pc.unique(waiting).to_pylist())
            self.used.update(sources_of(rows))
            yield rows

    def counts(self, tiles_used: int, tuples: int) -> dict[str, Any]:
        """The counts of a plan; see `PlanDocument.counts`."""
        return {
            "tiles_used": tiles_used,
            "components": len(self.components),
            "tuples": tuples,
            "locations": self.by_dates.total(),
            "patches": self.patches,
            "locations_by_dates": {str(n): self.by_dates[n] for n in sorted(self.by_dates)},
        }


def sources_of(patches: pa.Table) -> list[str]:
    """The tiles of which patches that are not retired have pixels."""
    live = patches["sources"].filter(pa.array(is_live(patches))).combine_chunks()
    found: list[str] = pc.unique(live.flatten()).to_pylist()
    return found


def write_tables(
    folder: Path,
    plans: Sequence[str],
    before: Before,
    new: Gathered,
    retiring: Retiring,
    dates: Dates,
    renumbered: Mapping[int, int],
) -> Tally:
    """Write overlaps, tuples, locations and patches.

    Args:
        folder: where to write them.
        plans: ids of the plan generations.
        before: the dataset so far.
        new: the new rows, and the overlaps and tuples that stay.
        retiring: the patches that become stale.
        dates: locations whose number of dates changes.
        renumbered: new numbers of components.
    """
    tally = Tally()
    locations = chain(old_locations(before, renumbered, dates), new.locations())
    extent = before.extent(LOCATIONS) | new.locations_extent
    patches = chain(old_patches(before, retiring), new.patches())
    PATCHES.write_parts(tally.of_patches(patches), folder, plans)
    LOCATIONS.write_parts(tally.locations(locations), folder, plans, extent)
    TUPLES.write_parts(new.tuples(), folder, plans, new.tuples_extent)
    OVERLAPS.write_parts(new.overlaps(), folder, plans)
    return tally
