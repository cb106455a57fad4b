"""The conditions of `Dataset.query`, one function each, applied to the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spectralearth_build.arguments import number, pair
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import PatchStatus
from spectralearth_build.store.index import Bounds
from spectralearth_build.tables import LOCATIONS, SPLITS

Date = str | datetime | np.datetime64
TimeRange = tuple[Date | None, Date | None]
_BBOX = "bbox must be four numbers in degrees: west, south, east, north; got {}."
_BOX_REMEDY = "Write, for example, bbox=(5, 45, 16, 48), south before north."


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


def written(time: TimeRange | None, max_cloud: float | None) -> tuple[ds.Expression, list[str]]:
    """Return the condition on written patches acquired in [start, end) and at most so cloudy, and its columns.

    Args:
        time: start and end; None: open.
        max_cloud: maximum cloud fraction; None: any.

    Raises:
        UsageError: A value is invalid.
    """
    condition, columns = ds.field("status") == str(PatchStatus.WRITTEN), ["status"]
    for edge, is_start in zip(_edges(time), (True, False), strict=True):
        if edge is not None:
            acquired = ds.field("acquired")
            condition &= acquired >= edge if is_start else acquired < edge
            columns.append("acquired")
    if max_cloud is not None:
        condition &= ds.field("cloud_fraction") <= number("max_cloud", max_cloud, 0, 1)
        columns.append("cloud_fraction")
    return condition, list(dict.fromkeys(columns))


def _edges(time: TimeRange | None) -> list[pa.Scalar | None]:
    """Return start and end in whole microseconds, rounded up, which changes no comparison with such times."""
    if time is None:
        return [None, None]
    edges = pair("time", time, '("2024-06-01", "2024-09-01")')
    start, end = (None if edge is None else moment(edge) for edge in edges)
    if start is not None and end is not None and start >= end:
        raise UsageError(
            f"The time range ends before it starts: {time}.", remedy="Give (start, end), start before end."
        )
    return [None if edge is None else _microseconds(edge) for edge in (start, end)]


def _microseconds(edge: pd.Timestamp) -> pa.Scalar:
    whole = edge.asm8.astype("datetime64[us]")
    count = int(whole.astype(np.int64)) + int(whole < edge.asm8)
    return pa.scalar(count, pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def on(rows: list[dict[str, Any]], date: Date) -> list[dict[str, Any]]:
    """Return the patches that a date selects: a datatake, a whole day (``YYYY-MM-DD``), or an exact time."""
    if isinstance(date, str) and date.startswith("DT"):
        return [row for row in rows if row["datatake"] == date]
    asked = moment(date)
    if asked == asked.normalize():
        return [row for row in rows if row["acquired"].date() == asked.date()]
    return [row for row in rows if pd.Timestamp(row["acquired"]) == asked]


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
    table = _split_table(folder)
    if table is None:
        return None
    keys = pa.table({table.column_names[0]: pa.array(patches[table.column_names[0]], pa.string())})
    return pd.Series(
        _splits_of(keys, table).to_pandas().fillna("").to_numpy(), patches.index, name=table.column_names[0]
    )


def split_names(folder: Path) -> list[str]:
    """Return the names of all splits of a dataset, in alphabetical order; empty if it has none."""
    table = _split_table(folder)
    return [] if table is None else sorted(set(pc.unique(table["split"]).to_pylist()) - {"", None})


def in_split(found: pa.Table, every: Callable[[], pa.Table], folder: Path, split: str) -> pa.Array:
    """Return which patches are in one split, bool [patch].

    Args:
        found: patches, with columns patch_id and location_id.
        every: returns the same columns of all written patches.
        folder: the dataset.
        split: the name.

    Raises:
        UsageError: There are no splits, or none of that name.
    """
    table = _split_table(folder)
    if table is None:
        raise UsageError(
            "The dataset has no splits.", folder, "Run `split DATASET`, or query without `split`."
        )
    chosen = pc.equal(_splits_of(found, table), split).fill_null(False)
    if split and pc.any(chosen).as_py():
        return chosen
    names = set(pc.unique(_splits_of(every(), table)).to_pylist()) - {"", None}
    if split not in names:
        known = ", ".join(sorted(names))
        raise UsageError(f"There is no split '{split}'.", folder, f"There are: {known}.")
    return chosen


def _split_table(folder: Path) -> pa.Table | None:
    """Return the splits by patch_id or location_id; None if the dataset has none."""
    if (folder / SPLITS.file).is_file():
        names = pq.read_schema(folder / SPLITS.file).names
        return _texts(folder / SPLITS.file, ["patch_id" if "patch_id" in names else "location_id", "split"])
    if "split" in pq.read_schema(folder / LOCATIONS.file).names:
        return _texts(folder / LOCATIONS.file, ["location_id", "split"])
    return None


def _texts(path: Path, columns: list[str]) -> pa.Table:
    """Read columns as text; other tools also write text as categories, and names of splits as numbers."""
    return pq.read_table(path, columns=columns).cast(pa.schema([(name, pa.string()) for name in columns]))


def _splits_of(patches: pa.Table, table: pa.Table) -> pa.ChunkedArray:
    """Return the split of each patch, null for patches in no split."""
    key = table.column_names[0]
    return table["split"].take(pc.index_in(patches[key], table[key].combine_chunks()))
