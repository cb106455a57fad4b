"""Labels as files of a dataset: what was asked for, and one record a shard that says what became of each patch.

Nothing here knows rasters or what classes mean; that is the matter of the package `labels`. As with pixels, a record
is written after its shard is durable, and it alone says that the shard is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from spectralearth_build.errors import DamagedError
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import LABELS as LABELS_FOLDER
from spectralearth_build.layout import (
    PatchStatus,
    label_array,
    label_definition,
    label_record,
    label_record_files,
    label_shard,
)
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.seal import KEY, is_sealed, sealed
from spectralearth_build.tables import LABELS
from spectralearth_build.texts import changes

MEND = "Run `pair` again with the same rasters and options."


@dataclass(frozen=True)
class LabelSource:
    """A raster that labels come from."""

    name: str
    """Its file name; where it lies is not the dataset's business."""
    year: int
    """What year it is of; 0: none was given."""
    bytes: int
    """Its size."""
    sha256: str
    """Its hash."""


@dataclass(frozen=True)
class Definition:
    """All that decides about the labels of one name, besides the patches."""

    label: str
    """The name."""
    kind: str
    """categorical (codes of classes) or continuous (numbers)."""
    dtype: str
    """Type of a pixel in the store."""
    nodata: int | None
    """Value of pixels without a class or value; None: NaN."""
    nomenclature: str
    """What the class table is called; empty if there are no classes."""
    classes: tuple[Mapping[str, Any], ...]
    """The classes in order of their indices: index, name, colour, codes."""
    rule: str
    """How values come onto the patches' grid."""
    year_rule: str
    """Which year a patch gets."""
    threshold: float
    """Least share of the labelled pixels that makes a class one of the patch."""
    least_labelled: float
    """Least share of labelled pixels; patches with less are left out."""
    sources: tuple[LabelSource, ...]
    """The rasters."""

    @cached_property
    def data(self) -> bytes:
        """Its file."""
        return json_bytes(sealed(asdict(self)))

    @cached_property
    def id(self) -> str:
        """Hash of it; records bear it."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def array(self) -> str:
        """Name of the array in the store."""
        return label_array(self.label)

    def differences(self, before: Definition) -> list[str]:
        """What is not as in another one, each in a few words."""
        old, new = (json.loads(each.data) | {KEY: ""} for each in (before, self))
        return sorted(changes(old, new), key=lambda line: (line.startswith("classes"), line))


@dataclass(frozen=True)
class PatchLabel:
    """What became of one patch."""

    row: int
    """Its row in the store."""
    year: int = 0
    """Year of the raster; 0: it has none, or no raster was found."""
    source: str = ""
    """File name of the raster that reaches it, or of several, separated by spaces."""
    fraction: float = 0.0
    """Share of the patch's pixels that are labelled."""
    classes: tuple[int, ...] = ()
    """Indices of its classes, ascending."""
    majority: int = -1
    """Index of the most frequent one; -1: none."""
    reason: str = ""
    """Why it was left out; empty: it was written."""
    checksum: int | None = None
    """Of its map; None: there is none, or it was written by an earlier version."""


@dataclass(frozen=True)
class LabelRecord:
    """What a shard of labels must be, and what it holds."""

    label: str
    """The label."""
    definition: str
    """Id of its definition."""
    plan: str
    """Id of the generation that the shard came with."""
    shard: int
    """Number of the shard."""
    patches: tuple[PatchLabel, ...]
    """What became of each patch, in order of rows."""
    size: int
    """Bytes of the shard file."""
    sha256: str
    """Hash of the shard file."""

    @property
    def name(self) -> str:
        """Path of the record below the dataset."""
        return label_record(self.label, self.shard)

    @property
    def shard_name(self) -> str:
        """Path of its shard below the dataset."""
        return label_shard(self.label, self.shard)

    @property
    def written(self) -> list[int]:
        """Rows that have a map, ascending."""
        return [patch.row for patch in self.patches if not patch.reason]

    def write(self, dataset: Path) -> None:
        """Write the record, atomically and durably."""
        write_bytes(dataset / self.name, json_bytes(asdict(self)))

    def holds(self, dataset: Path) -> bool:
        """Whether the shard file is there, at its right size."""
        path = dataset / self.shard_name
        return path.is_file() and path.stat().st_size == self.size


@dataclass(frozen=True)
class StoredLabel:
    """A label of a dataset, as far as it has got."""

    definition: Definition
    """What was asked for."""
    records: Mapping[int, LabelRecord] = field(default_factory=dict)
    """The records by shard, ascending."""

    @property
    def names(self) -> set[str]:
        """Definition, records and shards, as paths below the dataset."""
        parts = {name for record in self.records.values() for name in (record.name, record.shard_name)}
        return {label_definition(self.definition.label), *parts}


def decode_definition(data: bytes) -> Definition:
    """Read a definition.

    Raises:
        ValueError: it is none, or not as it was written.
    """
    if not is_sealed(data):
        raise ValueError("not as it was written")
    document = json.loads(data)
    del document[KEY]
    try:
        sources = tuple(LabelSource(**source) for source in document["sources"])
        return Definition(**{**document, "sources": sources, "classes": tuple(document["classes"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"no definition of labels ({error!r})") from error


def decode_record(data: bytes) -> LabelRecord:
    """Read a record.

    Raises:
        ValueError: it is none.
    """
    try:
        document = json.loads(data)
        patches = tuple(PatchLabel(**{**p, "classes": tuple(p["classes"])}) for p in document["patches"])
        return LabelRecord(**{**document, "patches": patches})
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a record of labels ({error!r})") from error


def read_labels(dataset: Path, plan_of: Callable[[int], str], lenient: bool = False) -> list[StoredLabel]:
    """The labels of a dataset in order of their names.

    A record that cannot be read, is of another definition or plan, or whose shard is missing or of another size, is
    not valid and left out.

    Args:
        dataset: the dataset.
        plan_of: gives the id that the record of a shard must bear.
        lenient: leave out damaged definitions, and take records whatever became of their shards.

    Raises:
        DamagedError: a definition is not as it was written.
    """
    found = []
    for path in sorted((dataset / LABELS_FOLDER).glob("*.json")):
        try:
            definition = decode_definition(path.read_bytes())
        except ValueError as error:
            if lenient:
                continue
            raise DamagedError(f"It is {error}.", path, MEND) from error
        if path.name == Path(label_definition(definition.label)).name:
            records = records_of(dataset, definition, plan_of)
            found.append(
                StoredLabel(definition, {r.shard: r for r in records if lenient or r.holds(dataset)})
            )
    return found


def frame(labels: Iterable[StoredLabel], patches: pd.DataFrame) -> pd.DataFrame:
    """The table of all labels: what is known of the patches that are written, in order of label and row.

    Args:
        labels: the labels.
        patches: patches.parquet with its final status.
    """
    written = patches[patches["status"] == PatchStatus.WRITTEN]
    known = (written[name].tolist() for name in ("store_row", "patch_id", "location_id"))
    names = {row: (patch, location) for row, patch, location in zip(*known, strict=True)}
    rows = [
        (each.definition.label, *names[patch.row], patch.row, patch.year, patch.source, patch.fraction)
        + (
            list(patch.classes),
            patch.majority,
            PatchStatus.SKIPPED if patch.reason else PatchStatus.WRITTEN,
            patch.reason,
            patch.checksum,
        )
        for each in labels
        for record in each.records.values()
        for patch in record.patches
        if patch.row in names
    ]
    columns = [column.name for column in LABELS.columns]
    return LABELS.frame(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)) if rows else [])


def records_of(dataset: Path, definition: Definition, plan_of: Callable[[int], str]) -> Iterator[LabelRecord]:
    """The readable records of a definition, in order of shards, whatever became of their shards."""
    for path, record in _readable(dataset, definition.label):
        same = (record.definition, record.plan) == (definition.id, plan_of(record.shard))
        if same and path.name == Path(record.name).name:
            yield record


def made_of(dataset: Path, label: str) -> set[str]:
    """Ids of the definitions that records of a label were made by."""
    return {record.definition for _, record in _readable(dataset, label)}


def _readable(dataset: Path, label: str) -> Iterator[tuple[Path, LabelRecord]]:
    for path in label_record_files(dataset, label):
        with suppress(ValueError):
            yield path, decode_record(path.read_bytes())
