"""Label files of a dataset: a definition, and one record per shard with the status of each patch.

Rasters and the meaning of classes are handled by the package `labels`. As with pixels, a record is written after its
shard is durable, and only the record proves that the shard is complete.
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
    """A raster from which labels are made."""

    name: str
    """File name, without the folder."""
    year: int
    """Year of the raster; 0: not given."""
    bytes: int
    """Size in bytes."""
    sha256: str
    """SHA-256."""


@dataclass(frozen=True)
class Definition:
    """Everything that determines the labels of one name, besides the patches."""

    label: str
    """Name of the label."""
    kind: str
    """categorical (codes of classes) or continuous (numbers)."""
    dtype: str
    """Data type of pixels in the store."""
    nodata: int | None
    """Value of pixels without a class or value; None: NaN."""
    nomenclature: str
    """Name of the class table; empty if there are no classes."""
    classes: tuple[Mapping[str, Any], ...]
    """The classes in order of their indices: index, name, colour, codes."""
    rule: str
    """Rule that resamples values to the grid of the patches."""
    year_rule: str
    """Rule that chooses the year of a patch."""
    threshold: float
    """Minimum share of the labelled pixels for a class to belong to a patch."""
    least_labelled: float
    """Minimum share of labelled pixels. Patches with less are left out."""
    sources: tuple[LabelSource, ...]
    """The rasters."""

    @cached_property
    def data(self) -> bytes:
        """Return the content of the definition file."""
        return json_bytes(sealed(asdict(self)))

    @cached_property
    def id(self) -> str:
        """Hash of the definition, which records contain."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def array(self) -> str:
        """Name of the array in the store."""
        return label_array(self.label)

    def differences(self, before: Definition) -> list[str]:
        """Return the differences from another definition, as short phrases."""
        old, new = (json.loads(each.data) | {KEY: ""} for each in (before, self))
        return sorted(changes(old, new), key=lambda line: (line.startswith("classes"), line))


@dataclass(frozen=True)
class PatchLabel:
    """The status of one patch."""

    row: int
    """Row in the store."""
    year: int = 0
    """Year of the raster; 0: it has no year, or no raster was found."""
    source: str = ""
    """File name of the raster that covers it; several names are separated by spaces."""
    fraction: float = 0.0
    """Share of the patch's pixels that are labelled."""
    classes: tuple[int, ...] = ()
    """Indices of its classes, ascending."""
    majority: int = -1
    """Index of the most frequent class; -1: none."""
    reason: str = ""
    """Reason why it was left out; empty: it was written."""
    checksum: int | None = None
    """Checksum of its map; None: there is none, or an earlier version wrote it."""


@dataclass(frozen=True)
class LabelRecord:
    """The expected label shard, and its contents."""

    label: str
    """Name of the label."""
    definition: str
    """Id of the definition."""
    plan: str
    """Id of the generation of the shard."""
    shard: int
    """Number of the shard."""
    patches: tuple[PatchLabel, ...]
    """Status of each patch, in order of rows."""
    size: int
    """Size of the shard file in bytes."""
    sha256: str
    """SHA-256 of the shard file."""

    @property
    def name(self) -> str:
        """Path of the record below the dataset."""
        return label_record(self.label, self.shard)

    @property
    def shard_name(self) -> str:
        """Path of the shard below the dataset."""
        return label_shard(self.label, self.shard)

    @property
    def written(self) -> list[int]:
        """Rows that have a map, ascending."""
        return [patch.row for patch in self.patches if not patch.reason]

    def write(self, dataset: Path) -> None:
        """Write the record, atomically and durably."""
        write_bytes(dataset / self.name, json_bytes(asdict(self)))

    def holds(self, dataset: Path) -> bool:
        """Return whether the shard file exists with the right size."""
        path = dataset / self.shard_name
        return path.is_file() and path.stat().st_size == self.size


@dataclass(frozen=True)
class StoredLabel:
    """A label of a dataset, possibly incomplete."""

    definition: Definition
    """The definition of the label."""
    records: Mapping[int, LabelRecord] = field(default_factory=dict)
    """The records by shard, ascending."""

    @property
    def names(self) -> set[str]:
        """Paths of definition, records and shards below the dataset."""
        parts = {name for record in self.records.values() for name in (record.name, record.shard_name)}
        return {label_definition(self.definition.label), *parts}


def decode_definition(data: bytes) -> Definition:
    """Parse a definition.

    Raises:
        ValueError: It is not a definition, or it was changed.
    """
    if not is_sealed(data):
        raise ValueError("not as it was written")
    document = json.loads(data)
    del document[KEY]
    try:
        sources = tuple(LabelSource(**source) for source in document["sources"])
        return Definition(**{**document, "sources": sources, "classes": tuple(document["classes"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a definition of labels ({error!r})") from error


def decode_record(data: bytes) -> LabelRecord:
    """Parse a record.

    Raises:
        ValueError: It is not a record.
    """
    try:
        document = json.loads(data)
        patches = tuple(PatchLabel(**{**p, "classes": tuple(p["classes"])}) for p in document["patches"])
        return LabelRecord(**{**document, "patches": patches})
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a record of labels ({error!r})") from error


def read_labels(dataset: Path, plan_of: Callable[[int], str], lenient: bool = False) -> list[StoredLabel]:
    """Return the labels of a dataset, sorted by name.

    A record that cannot be read, is of another definition or plan, or whose shard is missing or of another size, is
    not valid and left out.

    Args:
        dataset: the dataset.
        plan_of: returns the plan id that the record of a shard must have.
        lenient: whether to leave out damaged definitions, and to accept records without checking their shards.

    Raises:
        DamagedError: A definition was changed.
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
    """Return the table of all labels of written patches, sorted by label and row.

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
    """Yield the readable records of a definition in order of shards, without checking the shards."""
    for path, record in _readable(dataset, definition.label):
        same = (record.definition, record.plan) == (definition.id, plan_of(record.shard))
        if same and path.name == Path(record.name).name:
            yield record


def made_of(dataset: Path, label: str) -> set[str]:
    """Return the ids of the definitions of a label's records."""
    return {record.definition for _, record in _readable(dataset, label)}


def _readable(dataset: Path, label: str) -> Iterator[tuple[Path, LabelRecord]]:
    for path in label_record_files(dataset, label):
        with suppress(ValueError):
            yield path, decode_record(path.read_bytes())
