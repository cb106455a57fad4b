"""Strata: kinds of patches of which every part should have its share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.errors import UsageError
from spectralearth_build.split.links import Counts, Links

CELL = 30
"""Edge of a region, degrees."""
SEASONS = np.array(["winter", "spring", "summer", "autumn"])
"""Seasons of three months, beginning with December in the north and with June in the south."""
NO_LABEL = "none"


def strata(links: Links, by: tuple[str, ...]) -> tuple[list[str], Counts]:
    """Which strata each patch is in.

    Args:
        links: the patches.
        by: any of "season", "region", and "NAME=FILE" with a table as in `labels`.

    Returns:
        Names such as "season=summer", and 0 or 1 [patch, stratum]. The first stratum, "", has all patches.

    Raises:
        UsageError: an unknown criterion, or a table that cannot be used.
    """
    found = [pd.Series(1, index=pd.MultiIndex.from_product([range(len(links)), [""]]))]
    for criterion in by:
        name, equals, file = criterion.partition("=")
        if equals:
            rows, values = labels(Path(file), name, links)
        elif criterion in ("season", "region"):
            rows = np.arange(len(links))
            values = seasons(links) if criterion == "season" else regions(links)
        else:
            raise UsageError(
                f"There is no criterion '{criterion}'.", remedy="Use season, region or NAME=FILE."
            )
        index = pd.MultiIndex.from_arrays([rows, [f"{name}={value}" for value in values]])
        found.append(pd.Series(1, index=index[~index.duplicated()]))
    table = pd.concat([part.unstack(fill_value=0) for part in found], axis=1).fillna(0)
    return list(table.columns), table.to_numpy(np.int64)


def seasons(links: Links) -> npt.NDArray[np.str_]:
    """The season of each patch, by its month and hemisphere."""
    months = links.patches["acquired"].dt.month.to_numpy() % 12 // 3
    return np.asarray(SEASONS[(months + 2 * (links.lonlat[:, 1] < 0)) % 4])


def regions(links: Links) -> npt.NDArray[np.str_]:
    """The region of each patch, named after its south-western corner: N30W120."""
    lon, lat = (CELL * np.floor(links.lonlat / CELL)).astype(int).T
    names = [
        f"{'S' if y < 0 else 'N'}{abs(y):02d}{'W' if x < 0 else 'E'}{abs(x):03d}"
        for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ]
    return np.array(names)


def labels(file: Path, name: str, links: Links) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_]]:
    """Read labels from a CSV or Parquet file with a column ``name``, and patch_id or location_id.

    A patch may have several labels, one per row; patches without a label are labelled "none".

    Returns:
        Row of the patch and label, for every label of every patch.

    Raises:
        UsageError: the file lacks a column, or has none of the patches.
    """
    if not file.is_file():
        raise UsageError("There is no such table of labels.", file, "Check the path.")
    table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, comment="#", dtype=str)
    key = next((column for column in ("patch_id", "location_id") if column in table), None)
    if key is None or name not in table:
        raise UsageError(f"The table must have the columns patch_id or location_id, and {name}.", file)
    rows = links.patches[[key]].assign(row=np.arange(len(links)))
    joined = rows.merge(table[[key, name]].astype(str), on=key, how="left")
    if joined[name].isna().all():
        raise UsageError(f"It names no patch of the dataset in {key}.", file)
    return joined["row"].to_numpy(np.int64), joined[name].fillna(NO_LABEL).to_numpy(str)
