"""The conditions of `Dataset.query`, one function each, over the tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import shapely

from spectralearth_build.arguments import pair
from spectralearth_build.errors import UsageError
from spectralearth_build.store.index import Bounds, query_index
from spectralearth_build.tables import LOCATIONS, SPLITS

Date = str | datetime | np.datetime64
TimeRange = tuple[Date | None, Date | None]
_BBOX = "bbox must be four numbers in degrees: west, south, east, north; got {}."
_BOX_REMEDY = "Write, for example, bbox=(5, 45, 16, 48), south before north."
NEEDED = ("location_id", "acquired", "cloud_fraction", "status")
"""Columns of the patches that conditions look at."""


def within(locations: gpd.GeoDataFrame, folder: Path, bbox: Bounds) -> pd.Series:
    """The location_id of every window that touches ``bbox``: the R-tree proposes, the exact shapes decide.

    Args:
        locations: the table, whose row numbers the R-tree holds.
        folder: the dataset, which holds the R-tree.
        bbox: west, south, east, north in degrees; west > east crosses the antimeridian.

    Raises:
        UsageError: not four degrees in that order.
        DamagedError: the R-tree is damaged.
    """
    boxes = [_shape(part) for part in halves(bbox)]
    try:
        proposed = locations.iloc[query_index(folder, bbox)]
    except OSError:  # no room, or no right, to copy the R-tree: it only saves time
        proposed = locations
    touched = [proposed.intersects(box) for box in boxes]
    return proposed.loc[np.logical_or.reduce(touched), "location_id"]


def _shape(box: Bounds) -> shapely.Geometry:
    """A box as a polygon, or as the line or the point that it is: polygons without area get lost in predicates."""
    west, south, east, north = box
    if west < east and south < north:
        return shapely.box(*box)
    return shapely.Point(west, south) if box[:2] == box[2:] else shapely.LineString([box[:2], box[2:]])


def halves(bbox: Bounds) -> list[Bounds]:
    """The box, cut in two where it crosses the antimeridian.

    Raises:
        UsageError: not four degrees in that order.
    """
    west, south, east, north = _degrees(bbox)
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise UsageError(_BBOX.format(tuple(bbox)), remedy=_BOX_REMEDY)
    if west <= east:
        return [(west, south, east, north)]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def _degrees(bbox: Bounds) -> Bounds:
    try:
        if not isinstance(bbox, str):
            west, south, east, north = map(float, bbox)
            return west, south, east, north
    except (TypeError, ValueError):
        pass
    raise UsageError(_BBOX.format(repr(bbox)), remedy=_BOX_REMEDY)


def during(acquired: pd.Series, time: TimeRange) -> pd.Series:
    """Which moments lie in [start, end); an end that is None is open."""
    edges = pair("time", time, '("2024-06-01", "2024-09-01")')
    start, end = (None if edge is None else moment(edge) for edge in edges)
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


def moment(date: object) -> pd.Timestamp:
    """A date as a UTC timestamp.

    Raises:
        UsageError: it is no date.
    """
    try:
        if isinstance(date, int | float | None):  # pandas takes numbers for nanoseconds since 1970
            raise TypeError
        stamp = pd.Timestamp(date)
        if pd.isna(stamp):
            raise ValueError
        return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{date!r} is not a date.", remedy="Write it as 2024-07-01 or 2024-07-01T10:20:30."
        ) from error


def parts(patches: pd.DataFrame, folder: Path) -> pd.Series | None:
    """The split of each patch, from ``splits.parquet`` or from a column ``split`` of the locations.

    The former has a row a patch, as `split` writes it, or a row a location.

    Args:
        patches: with the columns patch_id and location_id.
        folder: the dataset.

    Returns:
        Names in the order of ``patches``, empty where there is none; None if the dataset has no splits.
    """
    if (folder / SPLITS.file).is_file():
        table = pd.read_parquet(folder / SPLITS.file)
    elif "split" in pq.read_schema(folder / LOCATIONS.file).names:
        table = pd.read_parquet(folder / LOCATIONS.file, columns=["location_id", "split"])
    else:
        return None
    key = "patch_id" if "patch_id" in table else "location_id"
    return patches[key].map(table.set_index(key)["split"]).fillna("")


def part(patches: pd.DataFrame, folder: Path, split: str) -> npt.NDArray[np.bool_]:
    """Which patches are in one split.

    Raises:
        UsageError: there are no splits, or none of that name.
    """
    found = parts(patches, folder)
    if found is None:
        raise UsageError("This dataset has no splits.", folder, "Run `split`, or query without `split`.")
    chosen, names = (found == split).to_numpy(), set(found) - {""}
    if split not in names:
        known = ", ".join(sorted(names))
        raise UsageError(f"There is no split '{split}'.", folder, f"There are: {known}.")
    return np.asarray(chosen)
