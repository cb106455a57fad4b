"""Nomenclatures: the source codes of each class, its name and its colour.

Labels are stored as the codes of their source; a nomenclature turns codes into class indices when they are read. So
one store serves both CORINE's 44 classes and the 19 classes of multi-label work. Each nomenclature is a CSV beside this
module, with the columns codes (separated by spaces), name and colour, one class per row, and with comments
``# title: ...`` and ``# source: ...`` at the top. Users may give a CSV of their own.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import UsageError

Indices = npt.NDArray[np.uint8]

IGNORE = 255
"""Class index of pixels without a class."""
MOST_CLASSES = 255
"""Largest number of classes: 8-bit indices without `IGNORE`."""
LARGEST_CODE = 65_535
NOMENCLATURES = ("corine44", "corine19", "cdl", "cdl14", "nlcd")
"""Nomenclatures that come with the package."""
_COLUMNS = ["codes", "name", "colour"]


@dataclass(frozen=True)
class LabelClass:
    """One class of a nomenclature."""

    index: int
    """Position in the nomenclature, from 0."""
    name: str
    colour: str
    """As '#rrggbb'."""
    codes: tuple[int, ...]
    """Source codes of the class."""


@dataclass(frozen=True)
class Nomenclature:
    """Classes and their source codes."""

    name: str
    """One of `NOMENCLATURES`, or the stem of a user's file."""
    title: str
    source: str
    """Source of codes, names and colours."""
    classes: tuple[LabelClass, ...]

    def lookup(self) -> Indices:
        """Class index of each code, uint8 [largest code + 1]; `IGNORE` for codes without a class."""
        table = np.full(1 + max(code for c in self.classes for code in c.codes), IGNORE, np.uint8)
        for label in self.classes:
            table[list(label.codes)] = label.index
        return table

    def indices(self, codes: npt.NDArray[Any]) -> Indices:
        """Class indices of source codes.

        Args:
            codes: integers of any type and shape; codes without a class, including negative ones, are allowed.

        Returns:
            uint8 of the same shape; `IGNORE` for codes without a class.

        Raises:
            TypeError: the codes are not integers.
        """
        if codes.dtype.kind not in "iu":
            raise TypeError(f"Class codes must be integers, not {codes.dtype}.")
        table = self.lookup()
        known = (codes >= 0) & (codes < len(table))
        return np.where(known, table[np.where(known, codes, 0)], np.uint8(IGNORE))


def nomenclature(name: str) -> Nomenclature:
    """A nomenclature by name, or from a user's CSV.

    Args:
        name: one of `NOMENCLATURES`, or the path of a CSV that ends in .csv.

    Raises:
        UsageError: there is no nomenclature of that name, or the file is not a valid one.
    """
    if name in NOMENCLATURES:
        return _packaged(name)
    path = Path(name)
    if path.suffix.lower() != ".csv":
        known = ", ".join(NOMENCLATURES)
        raise UsageError(f"There is no nomenclature '{name}'.", remedy=f"Use one of {known}, or a .csv file.")
    try:
        return _parsed(path.stem, path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The nomenclature cannot be read ({error}).", path) from error


@cache
def _packaged(name: str) -> Nomenclature:
    text = files("spectralearth_build.labels").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return _parsed(name, text, f"{name}.csv")


def _parsed(name: str, text: str, path: Path | str) -> Nomenclature:
    comments = dict(re.findall(r"^#\s*(\w+):\s*(.*?)\s*$", text, re.MULTILINE))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines, strict=True)
    try:
        rows = list(reader)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(f"the columns are {reader.fieldnames}")
        classes = tuple(_class(index, row) for index, row in enumerate(rows))
        _check(classes)
    except (ValueError, csv.Error) as error:
        columns = ",".join(_COLUMNS)
        raise UsageError(
            f"This is not a nomenclature: {error}.",
            path,
            f"Write a CSV with the columns {columns}, one class per row.",
        ) from error
    return Nomenclature(name, comments.get("title", name), comments.get("source", ""), classes)


def _class(index: int, row: dict[str, str | None]) -> LabelClass:
    codes, label, colour = ((row[column] or "").strip() for column in _COLUMNS)
    if not label:
        raise ValueError(f"class {index} has no name")
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise ValueError(f"the colour of {label} is '{colour}', not like #1a2b3c")
    if not re.fullmatch(r"\d{1,5}( +\d{1,5})*", codes):
        raise ValueError(f"the codes of {label} are '{codes}', not like '1 111'")
    return LabelClass(index, label, colour.lower(), tuple(int(code) for code in codes.split()))


def _check(classes: tuple[LabelClass, ...]) -> None:
    if not 1 <= len(classes) <= MOST_CLASSES:
        raise ValueError(f"there are {len(classes)} classes, not 1 to {MOST_CLASSES}")
    code, often = Counter(code for label in classes for code in label.codes).most_common(1)[0]
    if often > 1:
        raise ValueError(f"code {code} occurs twice")
    if (largest := max(code for label in classes for code in label.codes)) > LARGEST_CODE:
        raise ValueError(f"code {largest} is larger than {LARGEST_CODE}")
