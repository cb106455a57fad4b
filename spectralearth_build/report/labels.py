"""The label section of the report: which patches have a map, and how often each class occurs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from spectralearth_build.dataset.access import Dataset
from spectralearth_build.layout import LABEL_PREFIX, PatchStatus
from spectralearth_build.store.labels import Definition, decode_definition
from spectralearth_build.tables import LABELS


@dataclass(frozen=True)
class ClassRow:
    """A class of a label, and its patches."""

    name: str
    colour: str
    patches: int
    """Number of patches that have this class."""
    most: int
    """Number of patches in which it is the most frequent class."""


@dataclass(frozen=True)
class LabelGroup:
    """A label."""

    name: str
    about: str
    """Description of class table, rasters and rules."""
    written: int
    """Number of patches with a map."""
    left_out: list[tuple[str, int]]
    """Reasons why other patches have none, with their number."""
    classes: list[ClassRow]
    """Classes that occur, the most frequent first."""


def labels(dataset: Dataset) -> list[LabelGroup]:
    """Return the labels of a dataset, sorted by name; none if `pair` was never run."""
    if not (dataset.path / LABELS.file).is_file():
        return []
    table = LABELS.read(dataset.path)
    arrays = (
        dataset.store[key] for key in sorted(dataset.store.array_keys()) if key.startswith(LABEL_PREFIX)
    )
    made = [decode_definition(f"{array.attrs['definition']}\n".encode()) for array in arrays]
    return [_group(definition, table[table["label"] == definition.label]) for definition in made]


def _group(definition: Definition, mine: pd.DataFrame) -> LabelGroup:
    written = mine[mine["status"] == PatchStatus.WRITTEN]
    present = Counter(index for each in written["classes"] for index in each)
    most = Counter(written["majority"])
    rows = [
        ClassRow(c["name"], c["colour"], present[c["index"]], most[c["index"]]) for c in definition.classes
    ]
    found = sorted((row for row in rows if row.patches or row.most), key=lambda row: (-row.patches, row.name))
    why = mine.loc[mine["status"] == PatchStatus.SKIPPED, "reason"].str.replace(
        r"^[\d.]+%", "too little", regex=True
    )
    reasons = [(str(reason), int(count)) for reason, count in why.value_counts().items()]
    return LabelGroup(definition.label, _about(definition), len(written), reasons, found)


def _about(definition: Definition) -> str:
    names = [f"{s.name} ({s.year})" if s.year else s.name for s in definition.sources]
    rasters = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    what = definition.nomenclature or "quantities"
    return f"{what}, from {rasters}; rule {definition.rule}, year {definition.year_rule}."
