"""Tables of a dataset of any size, without tiles and pixels: for measuring what queries and loaders cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from spectralearth_build.columns import ROW_GROUP
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import MANIFEST, ROOT, STORE, PatchStatus
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import bounds_of
from spectralearth_build.store import schema
from spectralearth_build.tables import LOCATIONS, PATCHES

ACROSS, ALONG = 80, 2200
"""Windows of a lattice, along a line and along a column; they lie inside its zone as far as 76 degrees of latitude."""
LATTICES = tuple(base + zone for base in (32600, 32700) for zone in range(1, 61))
MOST = ACROSS * ALONG * len(LATTICES)
"""Largest number of locations."""
FIRST = np.datetime64("2022-05-01T10:00:00", "us")


def write_tables(
    folder: Path, locations: int, patches: int, seed: int = 0, pixels: Path | None = None
) -> None:
    """Write a dataset that has tables of locations and patches.

    Locations are spread over all lattices. The patches lie at random dates at random locations, at least one at each.
    Of 50 patches one was skipped.

    Args:
        folder: the dataset, to be made.
        locations: number of locations, at most `MOST`.
        patches: number of patches, at least ``locations``.
        seed: random seed.
        pixels: a dataset whose store these patches share, again and again; None: the store is empty.
    """
    folder.mkdir(parents=True)
    stored = None if pixels is None else _stored(pixels)
    starts = range(0, locations, ROW_GROUP)
    parts = [_locations(np.arange(start, min(start + ROW_GROUP, locations)), locations) for start in starts]
    places = pa.concat_tables(parts)
    LOCATIONS.write(places, folder)
    names = pa.concat_arrays(places["location_id"].chunks)
    del parts, places
    with pq.ParquetWriter(folder / PATCHES.file, PATCHES.schema, compression="zstd") as writer:
        for part in _patches(names, patches, np.random.default_rng(seed)):
            writer.write_table(part if stored is None else _with_pixels(part, stored))
    if pixels is None:
        write_bytes(folder / ROOT, schema.metadata_bytes(schema.root_document({}, {})))
    else:
        (folder / STORE).symlink_to((pixels / STORE).resolve())
    write_bytes(folder / MANIFEST, b'{"plan": "", "files": {}, "counts": {}}')


def _locations(number: npt.NDArray[np.int64], count: int) -> pa.Table:
    """Return some of ``count`` locations in order of lattices: lines of windows, spread over the latitudes."""
    of_each = -(-count // len(LATTICES))
    lattice, inside = np.divmod(number, of_each)
    line, column = np.divmod(inside, ACROSS)
    line *= max(1, ALONG * ACROSS // of_each)
    epsg = np.array(LATTICES)[lattice]
    south = epsg >= 32700
    rows = np.where(south, 333_300 - 128 * line, 128 * (line + 1))
    columns = 16_666 + 128 * (column - ACROSS // 2)
    shapes = np.empty(len(number), object)
    for zone in np.unique(epsg):
        there = epsg == zone
        shapes[there] = to_lonlat(shapely.box(*bounds_of(rows[there], columns[there])), int(zone))
    place = [pa.array(part).cast(pa.string()) for part in (epsg, columns, rows)]
    return LOCATIONS.arrow({
        "location_id": pc.binary_join_element_wise(*place, "_"), "epsg": epsg, "lattice_col": columns,
        "lattice_row": rows, "n": np.ones(len(number), np.int32), "component": lattice, "geometry": shapes,
    })  # fmt: skip


def _patches(names: pa.Array, count: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    """Yield the patches, in row groups."""
    place = np.concatenate([np.arange(len(names)), rng.integers(0, len(names), count - len(names))])
    place.sort()
    for start in range(0, count, ROW_GROUP):
        rows = np.arange(start, min(start + ROW_GROUP, count))
        day = rng.integers(0, 1500, len(rows))
        take = pc.utf8_lpad(pa.array(day * 15).cast(pa.string()), 10, "0")
        take = pc.binary_join_element_wise("DT", take, "")
        location = names.take(pa.array(place[rows]))
        tile = pc.binary_join_element_wise(
            take, pc.utf8_lpad(pa.array(day % 30).cast(pa.string()), 3, "0"), "_"
        )
        yield PATCHES.arrow({
            "patch_id": pc.binary_join_element_wise(location, take, "_"), "location_id": location,
            "tile_id": tile, "datatake": take, "acquired": FIRST + day.astype("timedelta64[D]"),
            "sources": pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32), tile),
            "store_row": rows, "shard": rows // 256, "generation": np.zeros(len(rows), np.int32),
            "status": np.where(rows % 50 == 7, PatchStatus.SKIPPED, PatchStatus.WRITTEN).astype(str),
            "reason": np.where(rows % 50 == 7, "clouds", "").astype(str), "checksum": rng.integers(0, 2**32, len(rows)),
            **{name: rng.uniform(0, 0.1, len(rows)) for name in FRACTIONS},
            "resampled": rows % 90 == 0, "correction": pa.repeat("land", len(rows)),
            "correction_assumed": np.zeros(len(rows), bool),
        })  # fmt: skip


def _stored(pixels: Path) -> pa.Table:
    """Return where the pixels of the written patches of a dataset are."""
    table = pq.read_table(pixels / PATCHES.file, columns=["store_row", "shard", "checksum", "status"])
    return table.filter(pc.equal(table["status"], str(PatchStatus.WRITTEN))).drop_columns(["status"])


def _with_pixels(part: pa.Table, stored: pa.Table) -> pa.Table:
    rows = stored.take(pa.array(part["store_row"].to_numpy() % len(stored)))
    for name in rows.column_names:
        part = part.set_column(part.schema.get_field_index(name), name, rows[name])
    return part.cast(PATCHES.schema)


FRACTIONS = [column.name for column in PATCHES.columns if column.name.endswith("_fraction")]
