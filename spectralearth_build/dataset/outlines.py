"""Which locations a box touches: nearly all are decided by their bounding coordinates, the others by their outlines."""

from __future__ import annotations

import json
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from spectralearth_build.dataset.snapshot import Snapshot
from spectralearth_build.store.index import Bounds
from spectralearth_build.tables import LOCATIONS

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
GEOMETRY = "geometry"
_HEADER = np.frombuffer(bytes([1]) + b"".join(n.to_bytes(4, "little") for n in (3, 1, 5)), np.uint8)
"""The first bytes of a polygon with one ring of five points, in little-endian WKB."""
_SQUARE = len(_HEADER) + 5 * 16
"""Length of such a polygon. All windows are so, but those that cross the antimeridian."""


class Outlines:
    """The outlines of all locations of a dataset; of each, four numbers are kept in memory.

    Args:
        locations: the table of locations.

    Raises:
        UsageError: The table is missing.
        DamagedError: The table cannot be read.
    """

    def __init__(self, locations: Snapshot) -> None:
        self._file = locations
        with locations.opened() as file:
            LOCATIONS.require_columns(file, [GEOMETRY])
            groups = range(file.num_row_groups)
            parts = [bounds_of_wkb(chunk) for group in groups for chunk in _outlines(file, group).chunks]
            self._starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in groups)])
        self.bounds = np.concatenate([np.empty((0, 4), np.float32), *parts])
        """West, south, east, north of each location in degrees, rounded outwards, float32 [location, 4]."""

    def touched_by(self, boxes: list[Bounds]) -> Flags:
        """Return which locations intersect any of some boxes, bool [location].

        Args:
            boxes: west, south, east, north in degrees, with west <= east; a box may be a line or a point.
        """
        found = np.zeros(len(self.bounds), bool)
        for box in boxes:
            edges = np.array(
                box, np.float64
            )  # with Python's numbers, numpy would compare in single precision
            near = self._near(edges)
            found |= self._inside(edges)
            unsure = np.flatnonzero(near & ~found)
            found[unsure] = shapely.intersects(self._shapes(unsure), _shape(box))
        return found

    def _near(self, box: Doubles) -> Flags:
        """Return which bounding boxes intersect a box."""
        west, south, east, north = self.bounds.T
        near: Flags = (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
        return near

    def _inside(self, box: Doubles) -> Flags:
        """Return which bounding boxes lie in a box; none if it is a line or a point."""
        west, south, east, north = self.bounds.T
        if not (box[0] < box[2] and box[1] < box[3]):
            return np.zeros(len(self.bounds), bool)
        inside: Flags = (west >= box[0]) & (east <= box[2]) & (south >= box[1]) & (north <= box[3])
        return inside

    def _shapes(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Return the outlines in some rows, ascending."""
        edges = np.searchsorted(rows, self._starts)
        found = [np.empty(0, object)]
        with self._file.opened() as file:
            for group in np.flatnonzero(np.diff(edges)).tolist():
                part = rows[edges[group] : edges[group + 1]] - self._starts[group]
                found.append(shapely.from_wkb(_outlines(file, group).take(part).to_numpy()))
        return np.concatenate(found)


def surely_all(locations: Snapshot, boxes: list[Bounds]) -> bool:
    """Return whether one of some boxes contains all locations, as far as the metadata of their table tells.

    Args:
        locations: the table of locations.
        boxes: west, south, east, north in degrees, with west <= east.
    """
    with locations.opened() as file:
        about = (file.schema_arrow.metadata or {}).get(b"geo")
    extent = json.loads(about)["columns"][GEOMETRY].get("bbox") if about else None
    if extent is None or len(extent) != 4:
        return False
    west, south, east, north = extent
    return any(box[0] <= west and box[1] <= south and box[2] >= east and box[3] >= north for box in boxes)


def bounds_of_wkb(shapes: pa.Array) -> Floats:
    """Return the bounding coordinates of shapes in WKB, float32 [shape, 4], rounded outwards; NaN without a shape.

    Args:
        shapes: WKB, or null.
    """
    square = pc.equal(pc.binary_length(shapes), _SQUARE).fill_null(False)
    exact = np.empty((len(shapes), 4))
    exact[square.to_numpy(zero_copy_only=False)] = _bounds_of_squares(shapes.filter(square))
    other = pc.invert(square)
    exact[other.to_numpy(zero_copy_only=False)] = _bounds_of_any(shapes.filter(other))
    rounded = exact.astype(np.float32)
    low, high = rounded[:, :2], rounded[:, 2:]
    low[low > exact[:, :2]] = np.nextafter(low, np.float32(-np.inf))[low > exact[:, :2]]
    high[high < exact[:, 2:]] = np.nextafter(high, np.float32(np.inf))[high < exact[:, 2:]]
    return rounded


def _bounds_of_squares(shapes: pa.Array) -> Doubles:
    """Return bounding coordinates of shapes as long as polygons of one ring of five points, which nearly all are."""
    _, offsets, data = shapes.buffers()
    first = int(np.frombuffer(offsets, np.int32)[shapes.offset]) if len(shapes) else 0
    each = np.frombuffer(data or b"", np.uint8, _SQUARE * len(shapes), first).reshape(-1, _SQUARE)
    if (each[:, : len(_HEADER)] != _HEADER).any():
        return _bounds_of_any(shapes)
    points = np.ascontiguousarray(each[:, len(_HEADER) :]).view("<f8").reshape(-1, 5, 2)
    corners = [points[:, k] for k in range(4)]  # the fifth is the first
    return np.concatenate([reduce(np.minimum, corners), reduce(np.maximum, corners)], axis=1)


def _bounds_of_any(shapes: pa.Array) -> Doubles:
    bounds: Doubles = shapely.bounds(shapely.from_wkb(shapes.to_numpy(zero_copy_only=False)))
    return bounds


def _outlines(file: pq.ParquetFile, group: int) -> pa.ChunkedArray:
    return file.read_row_group(group, [GEOMETRY])[GEOMETRY]


def _shape(box: Bounds) -> shapely.Geometry:
    """Return a box as polygon, line or point, because shapely predicates ignore polygons without area."""
    west, south, east, north = box
    if west < east and south < north:
        return shapely.box(*box)
    return shapely.Point(west, south) if box[:2] == box[2:] else shapely.LineString([box[:2], box[2:]])
