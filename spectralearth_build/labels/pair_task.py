"""Make the labels of a patch, and the task that writes shards of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np

from spectralearth_build.labels import class_counts as summary
from spectralearth_build.labels.classes import Nomenclature
from spectralearth_build.labels.define import AUTO, Given, kind_of, nomenclature_of
from spectralearth_build.labels.label_raster import LabelRaster, open_label_raster
from spectralearth_build.labels.resample import Rule, default_rule, on_patch
from spectralearth_build.labels.years import YearRule, year_for
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.label_arrays import LabelMap, label_shard_writer
from spectralearth_build.store.labels import Definition, LabelRecord, PatchLabel


@dataclass(frozen=True)
class PatchToLabel:
    """A patch to label."""

    row: int
    """Row of the patch in the store."""
    epsg: int
    """UTM zone of its window."""
    west: float
    """x of the upper-left corner, metres."""
    north: float
    """y of the upper-left corner, metres."""
    acquired: datetime
    """Time of acquisition."""


@dataclass(frozen=True)
class PairTask:
    """The input of a task that makes shards of a label."""

    definition: Definition
    """Definition of the label."""
    rasters: tuple[Given, ...]
    """The rasters that may reach the patches, in the order of the definition."""
    plans: Mapping[int, str]
    """Id of the generation of each shard."""
    shard_rows: int
    """Rows of a shard."""
    shards: Mapping[int, tuple[PatchToLabel, ...]]
    """Patches by shard, in order of their rows."""


def pair_shards(dataset: Path, task: PairTask) -> int:
    """Write shards of labels, each with its record; returns the number of patches with a map.

    Raises:
        UsageError: a raster cannot be read.
    """
    with ExitStack() as stack:
        kind = kind_of(task.definition)
        sources = [(stack.enter_context(open_label_raster(r.path, kind)), r.year) for r in task.rasters]
        records = [_write(dataset, task, shard, sources) for shard in task.shards]
        return sum(len(record.written) for record in records)


def label_patch(
    definition: Definition,
    sources: Sequence[tuple[LabelRaster, int]],
    place: PatchToLabel,
    classes: Nomenclature,
) -> tuple[PatchLabel, LabelMap | None]:
    """Label a patch; returns its record, and its map unless it was left out.

    Args:
        definition: definition of the label.
        sources: rasters of the label and their years, in the order of the definition.
        place: the patch.
        classes: the nomenclature of the definition.
    """
    reaching = [
        (source, year) for source, year in sources if source.covers(place.epsg, place.west, place.north)
    ]
    if not reaching:
        return PatchLabel(place.row, reason="no raster reaches it"), None
    year = _year(definition, {year for _, year in reaching}, place.acquired)
    if year is None:
        tail = " or before" if definition.year_rule == "before" else ""
        return PatchLabel(place.row, reason=f"no raster of {place.acquired.year}{tail} reaches it"), None
    used = [source for source, of in reaching if of == year]
    rule = default_rule(used[0]) if definition.rule == AUTO else cast("Rule", definition.rule)
    values = on_patch(used, place.epsg, place.west, place.north, rule)
    found = PatchLabel(place.row, year, " ".join(source.name for source in used))
    return _described(definition, classes, found, values)


def _year(definition: Definition, years: set[int], acquired: datetime) -> int | None:
    """The year of the rasters to use; 0 if they have no years."""
    return 0 if 0 in years else year_for(years, acquired, cast("YearRule", definition.year_rule))


def _described(
    definition: Definition, classes: Nomenclature, found: PatchLabel, values: LabelMap
) -> tuple[PatchLabel, LabelMap | None]:
    """What the pixels say of a patch.

    Args:
        definition: definition of the label.
        classes: its nomenclature.
        found: the patch, and the rasters that its map is of.
        values: the map.
    """
    present: tuple[int, ...] = ()
    best = -1
    if definition.kind == "categorical":
        indices, count = classes.indices(values), len(classes.classes)
        fraction = float(summary.labelled_fraction(indices))
        present = tuple(np.flatnonzero(summary.multi_hot(indices, count, definition.threshold)).tolist())
        best = int(summary.majority(indices, count))
    else:
        fraction = float(np.isfinite(values).mean())
    label = replace(found, fraction=fraction, classes=present, majority=best)
    if fraction and fraction >= definition.least_labelled:
        return replace(label, checksum=checksum_of(values)), values
    wanted = f", {definition.least_labelled:.2%} is wanted" if fraction else ""
    return replace(label, reason=f"{fraction:.2%} of it is labelled{wanted}"), None


def _write(
    dataset: Path, task: PairTask, shard: int, sources: Sequence[tuple[LabelRaster, int]]
) -> LabelRecord:
    """Write a shard, map by map, and then its record."""
    definition, classes = task.definition, nomenclature_of(task.definition)
    labels: list[PatchLabel] = []
    with label_shard_writer(dataset, definition.label, shard, task.shard_rows) as writer:
        for place in task.shards[shard]:
            label, values = label_patch(definition, sources, place, classes)
            labels.append(label)
            if values is not None:
                writer.add(place.row - shard * task.shard_rows, values)
    record = LabelRecord(
        label=definition.label,
        definition=definition.id,
        plan=task.plans[shard],
        shard=shard,
        patches=tuple(labels),
        size=writer.written.size,
        sha256=writer.written.sha256,
    )
    record.write(dataset)
    return record
