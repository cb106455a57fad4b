"""The recipe of a split, and the table in which splits are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from spectralearth_build.arguments import number, whole
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.faults import fault_of, refused
from spectralearth_build.files import replacing
from spectralearth_build.tables import SPLITS

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
BUFFER_KM = 5.0
_KEY = b"split"
_REMEDY = "Type, for example, train=0.8,val=0.1,test=0.1."


@dataclass(frozen=True)
class Recipe:
    """The settings of a split."""

    fractions: Mapping[str, float]
    """Fraction of the patches for each part, by name."""
    buffer_km: float = BUFFER_KM
    """The ground of different parts is farther apart than this, kilometres."""
    seed: int = 0
    """Seed of random choices."""
    stratify: tuple[str, ...] = ()
    """Criteria of the strata: season, region or NAME=FILE."""

    def __post_init__(self) -> None:
        if not isinstance(self.fractions, Mapping):
            raise UsageError(f"fractions must be a dict; got {self.fractions!r}.", remedy=_REMEDY)
        shares = [number(f"The fraction {name}", share, 0) for name, share in self.fractions.items()]
        if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(
                f"There must be at least two fractions, positive, that add up to 1; got {dict(self.fractions)}.",
                remedy=_REMEDY,
            )
        whole("seed", self.seed)
        number("buffer_km", self.buffer_km, 0)
        bad = [name for name in self.fractions if not name.isidentifier() or name == "none"]
        if bad:
            raise UsageError(f"'{bad[0]}' cannot be the name of a part.", remedy="Use letters and digits.")


def parse_fractions(text: str) -> dict[str, float]:
    """Parse fractions from the command line: train=0.8,val=0.1,test=0.1.

    Raises:
        UsageError: the text does not have this form.
    """
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not equals or share < 0 or name in found:
            raise UsageError(f"'{item}' is not a fraction.", remedy=_REMEDY)
        found[name] = share
    return found


def write_splits(dataset: Path, splits: pd.DataFrame, recipe: Recipe) -> Path:
    """Write splits.parquet atomically, with a checksum for each page.

    Args:
        dataset: folder of the dataset.
        splits: the columns of `tables.SPLITS`.
        recipe: how the splits were made; for imported splits, the settings that apply to them.
    """
    table = SPLITS.arrow(splits).replace_schema_metadata({_KEY: json.dumps(asdict(recipe)).encode()})
    path = dataset / SPLITS.file
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return path


def read_splits(dataset: Path) -> pd.DataFrame | None:
    """Read splits.parquet and verify its checksums; None if there is no such file.

    Raises:
        DamagedError: it cannot be read.
        UsageError: it has other columns, such as a table with one row per location.
    """
    path = dataset / SPLITS.file
    if not path.is_file():
        return None
    try:
        found: pd.DataFrame = pq.read_table(path, page_checksum_verification=True).to_pandas()
    except (OSError, ValueError) as error:
        if reason := fault_of(error, path) or refused(error, path):
            raise reason from error
        raise DamagedError(
            f"It cannot be read: {error}.", path, "Delete it and run `split` again."
        ) from error
    if not {column.name for column in SPLITS.columns} <= set(found):
        raise UsageError("It does not have the split of each patch.", path, "Use --anew to replace it.")
    return found


def read_recipe(dataset: Path) -> Recipe | None:
    """The recipe of a dataset's splits; None if there are no splits, or they have no recipe."""
    path = dataset / SPLITS.file
    about = (pq.read_schema(path).metadata or {}).get(_KEY) if path.is_file() else None
    if about is None:
        return None
    said: dict[str, Any] = json.loads(about)
    return Recipe(**{**said, "stratify": tuple(said["stratify"])})
