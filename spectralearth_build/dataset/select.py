"""The conditions of `Dataset.query`, one function each, over the tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from spectralearth_build.errors import UsageError
from spectralearth_build.store.index import Bounds, query_index

Date = str | datetime | np.datetime64
TimeRange = tuple[Date | None, Date | None]
SPLITS = "splits.parquet"


def within(locations: gpd.GeoDataFrame, folder: Path, bbox: Bounds) -> pd.Series:
    """The location_id of every window that touches ``bbox``: the R-tree proposes, the exact shapes decide.

    Args:
        locations: the table, whose row numbers the R-tree holds.
        folder: the dataset, which holds the R-tree.
        bbox: west, south, east, north in degrees; west > east crosses the antimeridian.

    Raises:
        UsageError: not four degrees in that order.
    """
    asked = shapely.union_all([shapely.box(*part) for part in halves(bbox)])
    proposed = locations.iloc[query_index(folder, bbox)]
    return proposed.loc[proposed.intersects(asked), "location_id"]


def halves(bbox: Bounds) -> list[Bounds]:
    """The box, cut in two where it crosses the antimeridian.

    Raises:
        UsageError: not four degrees in that order.
    """
    west, south, east, north = bbox
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise UsageError(
            f"bbox is west, south, east, north in degrees, got {tuple(bbox)}.", remedy="Mend it."
        )
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def during(acquired: pd.Series, time: TimeRange) -> pd.Series:
    """Which moments lie in [start, end); an end that is None is open."""
    start, end = (None if edge is None else moment(edge) for edge in time)
    if start is not None and end is not None and start >= end:
        raise UsageError(f"The time range ends before it starts: {time}.", remedy="Give (start, end).")
    inside = pd.Series(True, index=acquired.index)
    if start is not None:
        inside &= acquired >= start
    if end is not None:
        inside &= acquired < end
    return inside


def on(rows: pd.DataFrame, date: Date) -> pd.Series:
    """Which patches a date means: a datatake, a whole day (``YYYY-MM-DD``), or an exact moment."""
    if isinstance(date, str) and date.startswith("DT"):
        return rows["datatake"] == date
    asked = moment(date)
    if asked == asked.normalize():
        return rows["acquired"].dt.normalize() == asked
    return rows["acquired"] == asked


def moment(date: Date) -> pd.Timestamp:
    """A date as a UTC timestamp.

    Raises:
        UsageError: it is no date.
    """
    try:
        stamp = pd.Timestamp(date)
        return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"'{date}' is no date.", remedy="Write it as 2024-07-01 or 2024-07-01T10:20:30."
        ) from error


def part(locations: gpd.GeoDataFrame, folder: Path, split: str) -> pd.Series:
    """The location_id of one split, from a column ``split`` of the locations or from ``splits.parquet``.

    Raises:
        UsageError: there are no splits, or none of that name.
    """
    if "split" in locations:
        table = locations
    elif (folder / SPLITS).is_file():
        table = pd.read_parquet(folder / SPLITS, columns=["location_id", "split"])
    else:
        raise UsageError("This dataset has no splits.", folder, "Query without `split`.")
    if split not in set(table["split"]):
        known = ", ".join(sorted(table["split"].dropna().unique()))
        raise UsageError(f"There is no split '{split}'.", folder, f"There are: {known}.")
    return table.loc[table["split"] == split, "location_id"]
