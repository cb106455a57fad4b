"""The rows of planned components, as Arrow tables. All of this runs in the task that planned them.

The rows are left in a file, and `gather` joins the files of all tasks: it adds what depends on all components, such as
order and store rows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.faults import fault_of
from spectralearth_build.geoparquet import NOWHERE, Extent, extent_of
from spectralearth_build.overlap.geography import boxes_to_lonlat, to_lonlat
from spectralearth_build.overlap.lattice import PIXEL, bounds_of, columns_of
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.plan.component import ComponentPlan, Held
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

EQUAL_AREA = 6933
"""EASE-Grid 2.0, cylindrical equal-area, for areas that extend over several zones."""
KM2 = 1e-6
Numbered = Sequence[tuple[int, ComponentPlan]]
"""Numbers of components, and their plans."""
LATER = ("acquired", "correction", "correction_assumed", "store_row", "shard", "generation", "status", "reason",
         "checksum")  # fmt: skip
"""Columns of the patches that depend on other components or on what is cut, so `gather` adds them."""
PLANNED_PATCHES = pa.schema([field for field in PATCHES.schema if field.name not in LATER])
"""The columns of a patch that its component determines."""


@dataclass(frozen=True)
class PlanTables:
    """The four tables of a plan, or a part of them; the patches with the columns `PLANNED_PATCHES`."""

    overlaps: pa.Table
    tuples: pa.Table
    locations: pa.Table
    patches: pa.Table


@dataclass(frozen=True)
class Part:
    """The rows of some components, and what is stated of them before they are read."""

    rows: Path | PlanTables
    """The rows, or the file that `left_in` wrote."""
    tuples: Extent
    """Extent of the tuples' geometries."""
    locations: Extent
    """Extent of the locations' geometries."""
    grown: Mapping[str, int] = field(default_factory=dict)
    """Number of new patches of each existing location that gains some, by location_id."""

    def taken(self) -> PlanTables:
        """Read the rows, and delete their file."""
        if isinstance(self.rows, PlanTables):
            return self.rows
        reader = pa.BufferReader(self.rows.read_bytes())
        tables = PlanTables(*(pa.ipc.open_stream(reader).read_all() for _ in range(4)))
        self.rows.unlink()
        return tables


def left_in(folder: Path, tables: PlanTables) -> Path:
    """Write rows to a new file; see `Part.taken`. A task that runs twice leaves two files."""
    sink = pa.BufferOutputStream()
    for table in vars(tables).values():
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    try:
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(sink.getvalue())
    except OSError as error:
        raise fault_of(error, folder) or error from error
    return Path(name)


@dataclass(frozen=True)
class Known:
    """What the dataset already has of some components."""

    locations: pa.Array
    """Ids of the locations."""
    patches: pa.Array
    """Ids of the patches that are not retired."""


def known_of(held: Iterable[Mapping[int, Held]]) -> Known:
    """The ids of existing windows and of their dates.

    Args:
        held: for each component, its windows by lattice.
    """
    places, patches = [pa.array([], pa.string())], list[str]()
    for epsg, windows in (pair for each in held for pair in each.items()):
        count = len(windows.anchors)
        names = _ids({"epsg": np.full(count, epsg, np.int32), **columns_of(*windows.anchors.T)})
        places.append(names)
        dated = zip(names.to_pylist(), windows.dates, strict=True)
        patches += [f"{name}_{date}" for name, dates in dated for date in dates]
    return Known(pa.concat_arrays(places), pa.array(patches, pa.string()))


def described(
    plans: Numbered, footprints: Mapping[str, BaseGeometry], known: Known, folder: Path | None
) -> Part:
    """The rows of some components, without their order among other components and without store rows.

    Args:
        plans: numbers of the components, and their plans.
        footprints: footprints of their tiles by tile_id, in longitude and latitude.
        known: locations and patches to leave out.
        folder: where to leave the rows; None: in the result.
    """
    places = columns(plans, "locations")
    if places:
        new = pc.invert(pc.is_in(places["location_id"], known.locations))
        flags = new.to_numpy(zero_copy_only=False)
        places = {
            name: each.filter(new) if name == "location_id" else each[flags] for name, each in places.items()
        }
        places["geometry"] = _windows(places)
    tuples = _tuples(_rows(plans, "tuples"))
    patches = _patches(plans, known)
    grown = pc.value_counts(
        patches["location_id"].filter(pc.is_in(patches["location_id"], known.locations)).combine_chunks()
    )
    tables = PlanTables(
        OVERLAPS.arrow(_overlaps(_rows(plans, "overlaps"), footprints)),
        TUPLES.arrow(tuples),
        LOCATIONS.arrow(places),
        patches,
    )
    counts = dict(zip(grown.field("values").to_pylist(), grown.field("counts").to_pylist(), strict=True))
    return Part(left_in(folder, tables) if folder else tables, _extent(tuples), _extent(places), counts)


def _extent(rows: Mapping[str, Any]) -> Extent:
    return extent_of(rows["geometry"]) if rows else NOWHERE


def _patches(plans: Numbered, known: Known) -> pa.Table:
    """New patches, by tile and location."""
    found = columns(plans, "patches")
    if found:
        found["patch_id"] = pc.binary_join_element_wise(found["location_id"], found["datatake"], "_")
    patches = PATCHES.arrow(found).select(PLANNED_PATCHES.names)
    new = patches.filter(pc.invert(pc.is_in(patches["patch_id"], known.patches)))
    return new.sort_by([("tile_id", "ascending"), ("location_id", "ascending")])


def columns(plans: Iterable[tuple[int, ComponentPlan]], name: str) -> dict[str, Any]:
    """Join the blocks of ``locations`` or ``patches`` of all plans, and add location ids; empty without any."""
    blocks = [(component, block) for component, plan in plans for block in getattr(plan, name)]
    if not blocks:
        return {}
    joined = {key: np.concatenate([block[key] for _, block in blocks]) for key in blocks[0][1]}
    return {
        "component": np.repeat([number for number, _ in blocks], [len(block["epsg"]) for _, block in blocks]),
        "location_id": _ids(joined),
        **joined,
    }


def _ids(places: Mapping[str, npt.NDArray[Any]]) -> pa.Array:
    """The ids of locations, from columns of their table."""
    named = (pa.array(places[key]).cast(pa.string()) for key in ("epsg", "lattice_col", "lattice_row"))
    return pc.binary_join_element_wise(*named, "_")


def _rows(plans: Numbered, name: str) -> dict[str, list[Any]]:
    rows = [{"component": component, **row} for component, plan in plans for row in getattr(plan, name)]
    return {key: [row[key] for row in rows] for key in rows[0]} if rows else {}


def _overlaps(rows: dict[str, Any], footprints: Mapping[str, BaseGeometry]) -> dict[str, Any]:
    if not rows:
        return rows
    names = sorted({*rows["tile_a"], *rows["tile_b"]})
    flat = dict(zip(names, _projected(np.array([footprints[name] for name in names], object)), strict=True))
    first, second = ([flat[name] for name in rows[side]] for side in ("tile_a", "tile_b"))
    return rows | {"area_km2": shapely.area(shapely.intersection(first, second)) * KM2}


def _projected(footprints: npt.NDArray[np.object_]) -> Any:  # noqa: ANN401
    project = transformer(4326, EQUAL_AREA)
    return shapely.transform(footprints, lambda p: np.stack(project.transform(p[:, 0], p[:, 1]), axis=1))


def _tuples(rows: dict[str, Any]) -> dict[str, Any]:
    if not rows:
        return rows
    area = np.array(rows["windows"]) * (PIXEL**2 * KM2)
    return rows | {"area_km2": area, "geometry": _geographic(np.array(rows["outline"], object), rows["epsg"])}


def _windows(places: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.object_]:
    zones, bounds = places["epsg"], np.stack(bounds_of(places["lattice_row"], places["lattice_col"]))
    result = np.empty(len(zones), dtype=object)
    for epsg in np.unique(zones):
        west, south, east, north = bounds[:, zones == epsg]
        result[zones == epsg] = boxes_to_lonlat(west, south, east, north, int(epsg))
    return result


def _geographic(shapes: npt.NDArray[np.object_], zones: npt.ArrayLike) -> npt.NDArray[np.object_]:
    result = np.empty(len(shapes), dtype=object)
    every = np.asarray(zones)
    for epsg in np.unique(every):
        result[every == epsg] = to_lonlat(shapes[every == epsg], int(epsg))
    return result


def replaced(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """The table with new values in some columns: an array per column, or one value for all rows."""
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        if isinstance(values, int | str):
            values = pa.repeat(pa.scalar(values, field.type), len(table))
        elif isinstance(values, np.ndarray):
            values = pa.array(values)
        table = table.set_column(at, field, values.cast(field.type))
    return table
