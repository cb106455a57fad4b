"""Turn planned components into the tables of the dataset, as Arrow tables, which are sent, extended and written as is.

`described` runs in the task of a component and makes its rows. `assemble` runs where the components come together, and
adds what depends on all of them, such as order and store rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from shapely.geometry.base import BaseGeometry

from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import PIXEL, bounds_of
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.plan.component import ComponentPlan
from spectralearth_build.plan.rows import assign_rows
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES

EQUAL_AREA = 6933
"""EASE-Grid 2.0, cylindrical equal-area, for areas that extend over several zones."""
KM2 = 1e-6
Numbered = Sequence[tuple[int, ComponentPlan]]
"""Numbers of components, and their plans."""


@dataclass(frozen=True)
class PlanTables:
    """The four tables of a plan."""

    overlaps: pa.Table
    tuples: pa.Table
    locations: pa.Table
    patches: pa.Table


NO_TABLES = PlanTables(*(table.schema.empty_table() for table in (OVERLAPS, TUPLES, LOCATIONS, PATCHES)))


@dataclass(frozen=True)
class Known:
    """What the tables already contain."""

    locations: pa.Array
    """Ids of all locations."""
    patches: pa.Array
    """Ids of the patches that are not retired."""
    shards: int = 0
    """Number of shards."""
    generations: int = 0
    """Number of generations."""


NOTHING_KNOWN = Known(pa.array([], pa.string()), pa.array([], pa.string()))


def described(plans: Numbered, footprints: Mapping[str, BaseGeometry]) -> PlanTables:
    """The rows of some components, without their order among other components and without store rows.

    Args:
        plans: numbers of the components, and their plans.
        footprints: footprints of their tiles by tile_id, in longitude and latitude.
    """
    places = columns(plans, "locations")
    patches = columns(plans, "patches")
    if patches:
        patches["patch_id"] = pc.binary_join_element_wise(patches["location_id"], patches["datatake"], "_")
    return PlanTables(
        OVERLAPS.arrow(_overlaps(_rows(plans, "overlaps"), footprints)),
        TUPLES.arrow(_tuples(_rows(plans, "tuples"))),
        LOCATIONS.arrow(places | {"geometry": _windows(places)} if places else {}),
        PATCHES.arrow(patches).sort_by([("tile_id", "ascending"), ("location_id", "ascending")]),
    )


def assemble(
    parts: Sequence[PlanTables], tiles: gpd.GeoDataFrame, shard_rows: int, known: Known = NOTHING_KNOWN
) -> PlanTables:
    """Join the rows of all components into tables.

    Args:
        parts: rows of all components, in any order.
        tiles: the tile table with eligible tiles only.
        shard_rows: rows in a shard.
        known: locations and patches to leave out, and the number of shards and generations so far.
    """
    every = [NO_TABLES, *parts]
    locations = pa.concat_tables([part.locations for part in every])
    patches = pa.concat_tables([part.patches for part in every])
    if len(known.locations) > 0:
        locations = locations.filter(pc.invert(pc.is_in(locations["location_id"], known.locations)))
        patches = patches.filter(pc.invert(pc.is_in(patches["patch_id"], known.patches)))
    return PlanTables(
        by_component(pa.concat_tables([part.overlaps for part in every])),
        by_component(pa.concat_tables([part.tuples for part in every])),
        locations.take(pc.sort_indices(locations["location_id"])),
        _dated(assign_rows(patches, shard_rows, known.shards), tiles, known.generations),
    )


def by_component(table: pa.Table) -> pa.Table:
    """The table sorted by component; the order within a component is kept."""
    return table.take(np.argsort(table["component"].to_numpy(), kind="stable"))


def columns(plans: Iterable[tuple[int, ComponentPlan]], name: str) -> dict[str, Any]:
    """Join the blocks of ``locations`` or ``patches`` of all plans, and add location ids; empty without any."""
    blocks = [(component, block) for component, plan in plans for block in getattr(plan, name)]
    if not blocks:
        return {}
    joined = {key: np.concatenate([block[key] for _, block in blocks]) for key in blocks[0][1]}
    place = [pa.array(joined[key]).cast(pa.string()) for key in ("epsg", "lattice_col", "lattice_row")]
    return {
        "component": np.repeat([number for number, _ in blocks], [len(block["epsg"]) for _, block in blocks]),
        "location_id": pc.binary_join_element_wise(*place, "_"),
        **joined,
    }


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
    boxes = shapely.box(*bounds_of(places["lattice_row"], places["lattice_col"]))
    return _geographic(boxes, places["epsg"])


def _geographic(shapes: npt.NDArray[np.object_], zones: npt.ArrayLike) -> npt.NDArray[np.object_]:
    result = np.empty(len(shapes), dtype=object)
    every = np.asarray(zones)
    for epsg in np.unique(every):
        result[every == epsg] = to_lonlat(shapes[every == epsg], int(epsg))
    return result


def _dated(patches: pa.Table, tiles: gpd.GeoDataFrame, generation: int) -> pa.Table:
    names = pa.array(tiles["tile_id"], pa.string())
    tile = pc.index_in(patches["tile_id"], names)
    of_tile = {
        name: pa.array(tiles[name], PATCHES.schema.field(name).type, from_pandas=True).take(tile)
        for name in ("acquired", "correction", "correction_assumed")
    }
    return replaced(
        patches, of_tile | {"generation": generation, "status": PatchStatus.PLANNED, "reason": ""}
    )


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
