"""The GeoParquet metadata of a table, which stands in its file before the first row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS

KINDS = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
"""GeoParquet's names of shapely's geometry types, by shapely's type id."""
GEO = "geo"
"""Key of GeoParquet in a file's metadata."""


@dataclass(frozen=True)
class Extent:
    """What GeoParquet states about all geometries of a table. Parts of a table can be joined with `|`."""

    kinds: frozenset[str] = frozenset()
    """Types of the geometries, as GeoParquet names them."""
    bounds: tuple[float, ...] | None = None
    """Smallest and largest longitude and latitude: west, south, east, north, degrees; None without any point."""

    def __or__(self, other: Extent) -> Extent:
        """Return the extent of the rows of both."""
        if self.bounds is None or other.bounds is None:
            return Extent(self.kinds | other.kinds, self.bounds or other.bounds)
        low = map(min, self.bounds[:2], other.bounds[:2])
        high = map(max, self.bounds[2:], other.bounds[2:])
        return Extent(self.kinds | other.kinds, (*low, *high))


NOWHERE = Extent()
_HEAD = bytes([1, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0])
"""How WKB of a box begins: order of bytes, polygon, one ring, five points."""
_BOX = np.dtype([("head", f"V{len(_HEAD)}"), ("corners", "<f8", (5, 2))])
STEP = 1 << 17
"""Geometries that are decoded at a time."""


def extent_of(shapes: npt.NDArray[np.object_]) -> Extent:
    """The extent of geometries; None is not counted."""
    there = shapes[~shapely.is_missing(shapes)]
    if there.size == 0:  # some versions of shapely fail on no geometries
        return NOWHERE
    bounds = shapely.total_bounds(there)
    kinds = frozenset(KINDS[kind] for kind in np.unique(shapely.get_type_id(there)))
    return Extent(kinds, tuple(bounds.tolist()) if np.isfinite(bounds).all() else None)


def extent_of_wkb(column: pa.ChunkedArray) -> Extent:
    """The extent of a column of WKB."""
    found = NOWHERE
    for start in range(0, len(column), STEP):
        found |= extent_of(shapely.from_wkb(column.slice(start, STEP).to_numpy()))
    return found


def are_boxes(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which geometries in WKB are polygons of four sides without holes, as most windows are: bool [row]."""
    length = pc.fill_null(pc.equal(pc.binary_length(column), _BOX.itemsize), False)
    head = pc.fill_null(pc.starts_with(pc.binary_slice(column, 0, len(_HEAD)), _HEAD), False)
    return np.asarray(pc.and_(length, head).to_numpy(), np.bool_)


def bounds_of_boxes(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """West, south, east and north [row, 4] of such polygons in WKB, without making geometries."""
    wkb = column.combine_chunks()
    if len(wkb) == 0:
        return np.empty((0, 4))
    start = int(np.frombuffer(wkb.buffers()[1], np.int32)[wkb.offset])
    corners = np.frombuffer(wkb.buffers()[2], _BOX, len(wkb), start)["corners"]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def extent_stated(metadata: dict[bytes, bytes] | None) -> Extent | None:
    """The extent that the metadata of a file states; None if it states none."""
    try:
        about = json.loads((metadata or {})[GEO.encode()])["columns"]["geometry"]
        return Extent(frozenset(about["geometry_types"]), tuple(map(float, about["bbox"])))
    except (LookupError, TypeError, ValueError):
        return None


def geo_metadata(extent: Extent) -> dict[str, str]:
    """GeoParquet 1.0 metadata of a table whose column ``geometry`` is WKB in longitude and latitude."""
    crs = CRS(4326).to_json_dict()
    for member in crs["datum_ensemble"]["members"]:
        member.pop("id", None)  # as geopandas does, since older PROJ cannot read it
    about: dict[str, Any] = {"encoding": "WKB", "crs": crs, "geometry_types": sorted(extent.kinds)}
    if extent.bounds is not None:
        about["bbox"] = list(extent.bounds)
    return {
        GEO: json.dumps({"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": about}})
    }
