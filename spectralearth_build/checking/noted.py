"""Rows of large tables that a check found wrong: the first few are named, the others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.checking.damage import Damage
from spectralearth_build.columns import Table

KIND = "TableWrong"
_EXAMPLES = 3
Flags = npt.NDArray[np.bool_]


@dataclass
class Noted:
    """The rows of a table that one check found wrong, in order of the table."""

    file: str
    """File of the table."""
    text: str
    """What is wrong with them, as the end of a sentence."""
    names: list[str] = field(default_factory=list)
    """Names of the first rows."""
    count: int = 0
    """Number of rows."""

    def add(self, names: Iterable[object]) -> None:
        """Add names of wrong rows."""
        for name in names:
            if self.count < _EXAMPLES:
                self.names.append(str(name))
            self.count += 1

    def damages(self) -> Iterator[Damage]:
        """Yield one damage for all rows; none if there are none."""
        if self.count:
            more = f" and {self.count - _EXAMPLES} more" if self.count > _EXAMPLES else ""
            yield Damage(KIND, self.file, f"{', '.join(self.names)}{more} {self.text}.")


def noted(file: str, text: str, names: Iterable[object]) -> Iterator[Damage]:
    """Yield one damage for all names; none if there are none."""
    all_of_them = Noted(file, text)
    all_of_them.add(names)
    yield from all_of_them.damages()


def row_count(table: Table, folder: Path) -> int:
    """Return the number of rows of a table."""
    with table.opened(folder) as file:
        return int(file.metadata.num_rows)


def values_at(table: Table, folder: Path, column: str, rows: Flags) -> Iterator[object]:
    """Yield a column of some rows of a table. Nothing is read if there are none.

    Args:
        table: the table.
        folder: its folder.
        column: name of the column.
        rows: which rows, bool [row].
    """
    first = 0
    for batch in table.batches(folder, [column]) if rows.any() else ():
        yield from batch.to_pandas()[column][rows[first : first + len(batch)]]
        first += len(batch)


def hashes(values: pd.Series) -> npt.NDArray[np.uint64]:
    """Return a hash of each value, the same in every run, uint64 [row]."""
    found: npt.NDArray[np.uint64] = pd.util.hash_pandas_object(
        values, index=False, categorize=False
    ).to_numpy()
    return found


def repeated(keys: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return the values that occur more than once, ascending."""
    ordered = np.sort(keys)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def repeated_names(
    table: Table, folder: Path, column: str, keys: npt.NDArray[np.uint64], counted: Flags
) -> Iterator[Damage]:
    """Yield a damage for names that several rows have.

    Args:
        table: the table.
        folder: its folder.
        column: the names.
        keys: hashes of the names of all rows, uint64 [row].
        counted: the rows that must have names of their own, bool [row].
    """
    several = repeated(keys[counted])
    if len(several):
        names = list(values_at(table, folder, column, counted & np.isin(keys, several)))
        counts = Counter(map(str, names))  # names with the same hash may differ
        wrong = (name for name in names if counts[str(name)] > 1)
        yield from noted(table.file, f"occurs more than once in {column}", wrong)
