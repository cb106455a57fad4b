"""The conditions of `Dataset.query`, one function each, applied to the tables."""

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
"""Columns of the patches that conditions use."""


def within(locations: gpd.GeoDataFrame, folder: Path, bbox: Bounds) -> pd.Series:
    """Return the location_id of windows that intersect ``bbox``. The R-tree finds candidates, exact shapes decide.

    Args:
        locations: the table, whose row numbers the R-tree contains.
        folder: folder of the dataset, with the R-tree.
        bbox: west, south, east, north in degrees; west > east crosses the antimeridian.

    Raises:
        UsageError: The box is not four numbers in degrees, in this order.
        DamagedError: The R-tree is damaged.
    """
    boxes = [_shape(part) for part in halves(bbox)]
    try:
        proposed = locations.iloc[query_index(folder, bbox)]
    except OSError:  # the R-tree cannot be copied (no space or no permission); it only saves time
        proposed = locations
    touched = [proposed.intersects(box) for box in boxes]
    return proposed.loc[np.logical_or.reduce(touched), "location_id"]


def _shape(box: Bounds) -> shapely.Geometry:
    """Return a box as polygon, line or point, because shapely predicates ignore polygons without area."""
    west, south, east, north = box
    if west < east and south < north:
        return shapely.box(*box)
    return shapely.Point(west, south) if box[:2] == box[2:] else shapely.LineString([box[:2], box[2:]])


def halves(bbox: Bounds) -> list[Bounds]:
    """Return the box, cut in two if it crosses the antimeridian.

    Raises:
        UsageError: The box is not four numbers in degrees, in this order.
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
    """Return which times are in [start, end). None means open."""
    edges = pair("time", time, '("2024-06-01", "2024-09-01")')
    start, end = (None if edge is None else moment(edge) for edge in edges)
    if start is not None and end is not None and start >= end:
        raise UsageError(
            f"The time range ends before it starts: {time}.", remedy="Give (start, end), start before end."
        )
    inside = pd.Series(True, index=acquired.index)
    if start is not None:
        inside &= acquired >= start
    if end is not None:
        inside &= acquired < end
    return inside


def on(rows: pd.DataFrame, date: Date) -> pd.Series:
    """Return which patches a date selects: a datatake, a whole day (``YYYY-MM-DD``), or an exact time."""
    if isinstance(date, str) and date.startswith("DT"):
        return rows["datatake"] == date
    asked = moment(date)
    if asked == asked.normalize():
        return rows["acquired"].dt.normalize() == asked
    return rows["acquired"] == asked


def moment(date: object) -> pd.Timestamp:
    """Convert a date to a UTC timestamp.

    Raises:
        UsageError: It is not a date.
    """
    try:
        if isinstance(date, int | float | None):  # pandas would interpret numbers as nanoseconds since 1970
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
    """Return the split of each patch, from ``splits.parquet`` or from a column ``split`` of the locations.

    ``splits.parquet`` has one row per patch, as `split` writes it, or one row per location.

    Args:
        patches: a table with columns patch_id and location_id.
        folder: the dataset.

    Returns:
        Names in the order of ``patches``, empty for patches in no split; None if the dataset has no splits.
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
    """Return which patches are in one split.

    Raises:
        UsageError: There are no splits, or none of that name.
    """
    found = parts(patches, folder)
    if found is None:
        raise UsageError(
            "The dataset has no splits.", folder, "Run `split DATASET`, or query without `split`."
        )
    chosen, names = (found == split).to_numpy(), set(found) - {""}
    if split not in names:
        known = ", ".join(sorted(names))
        raise UsageError(f"There is no split '{split}'.", folder, f"There are: {known}.")
    return np.asarray(chosen)
