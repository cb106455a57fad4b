"""Joining rows in parts on disk gives the same tables as at once in memory, whatever comes when."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.geoparquet import extent_of
from spectralearth_build.plan import gather, spool
from spectralearth_build.plan.assemble import PLANNED_PATCHES, Part, PlanTables, left_in
from spectralearth_build.plan.gather import Gathered, Numbering
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TUPLES
from tests.support.whole_plan import whole

NAMES = [f"T{n:02d}" for n in (3, 1, 12, 7, 0, 9)]
TILES = pd.DataFrame(
    {
        "tile_id": sorted(NAMES),
        "acquired": pd.date_range("2023-01-01", periods=len(NAMES), tz="UTC"),
        "correction": ["land", None] * 3,
        "correction_assumed": [True, False, None] * 2,
    }
)


@st.composite
def task_rows(draw):
    """For each task: its components, the windows of each, and the tile and datatake of every patch at them.

    A tile is in one component, and its component is in one task.
    """
    tiles = iter(draw(st.permutations(NAMES)))
    numbers = iter(draw(st.permutations(range(0, 5000, 500))))
    tasks, place = [], 0
    for _ in range(draw(st.integers(0, 4))):
        rows = {name: [] for name in ("overlaps", "tuples", "locations", "patches")}
        for _ in range(draw(st.integers(0, 2))):
            component = next(numbers)
            mine = [tile for tile in (next(tiles, None), next(tiles, None)) if tile]
            rows["overlaps"] += [(component, "a", f"b{k}") for k in range(draw(st.integers(0, 2)))]
            rows["tuples"] += [(component, k) for k in range(draw(st.integers(0, 3)))]
            for _ in range(draw(st.integers(0, 6)) if mine else 0):
                place += 1
                epsg, col = draw(st.sampled_from([32601, 32660, 32733])), (place * 7919) % 1000
                rows["locations"].append((component, epsg, col))
                seen = draw(st.lists(st.sampled_from(mine), min_size=1, unique=True))
                rows["patches"] += [(f"{epsg}_{col}_0", tile) for tile in seen]
        tasks.append(rows)
    return tasks


def tables_of(rows):
    patches = sorted(rows["patches"], key=lambda row: (row[1], row[0]))
    shapes = [shapely.box(col, 0, col + 1, epsg % 7) for _, epsg, col in rows["locations"]]
    return PlanTables(
        OVERLAPS.arrow(pd.DataFrame(rows["overlaps"], columns=["component", "tile_a", "tile_b"])),
        TUPLES.arrow(
            pd.DataFrame(rows["tuples"], columns=["component", "n"]).assign(
                geometry=[shapely.Point(k, k) for _, k in rows["tuples"]]
            )
        ),
        LOCATIONS.arrow(
            {
                "component": pa.array([row[0] for row in rows["locations"]], pa.int64()),
                "epsg": pa.array([row[1] for row in rows["locations"]], pa.int32()),
                "location_id": pa.array(
                    [f"{epsg}_{col}_0" for _, epsg, col in rows["locations"]], pa.string()
                ),
                "geometry": np.array(shapes, object),
            }
        ),
        PATCHES.arrow(
            {
                "location_id": pa.array([row[0] for row in patches], pa.string()),
                "tile_id": pa.array([row[1] for row in patches], pa.string()),
                "patch_id": pa.array([f"{row[0]}_{row[1]}" for row in patches], pa.string()),
                "sources": pa.array([[row[1], "x"] for row in patches], pa.list_(pa.string())),
            }
        ).select(PLANNED_PATCHES.names),
    )


def part_of(tables, folder, on_disk):
    tuples, locations = (
        extent_of(shapely.from_wkb(each["geometry"].to_numpy())) for each in (tables.tuples, tables.locations)
    )
    return Part(left_in(folder, tables) if on_disk else tables, tuples, locations)


@settings(max_examples=60, deadline=None)
@given(
    task_rows(),
    st.sampled_from([1, 1 << 24]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
    st.randoms(),
)
def test_parts_make_the_tables_that_memory_makes(tasks, held, per_bucket, shard_rows, on_disk, random):
    made = [tables_of(rows) for rows in tasks]
    nothing = tables_of({"overlaps": [], "tuples": [], "locations": [], "patches": []})
    expected = whole([[*vars(each).values()] for each in [nothing, *made]], TILES, shard_rows, 5, 2)
    random.shuffle(made)
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(spool.Spool.__init__, "__defaults__", (held,)),
        mock.patch.multiple(gather, TILES=per_bucket, COMPONENTS=per_bucket * 300),
    ):
        gathered = Gathered(Path(folder), TILES, Numbering(shard_rows, 5, 2))
        for tables in made:
            gathered.add(part_of(tables, gathered.inbox, on_disk))
        assert [*gathered.inbox.iterdir()] == []
        found = [
            [*parts()] for parts in (gathered.overlaps, gathered.tuples, gathered.locations, gathered.patches)
        ]
        named = [*gathered.named_patches()]
    for parts, table in zip(found, expected, strict=True):
        assert pa.concat_tables([table.schema.empty_table(), *parts]).equals(table)
    for part, row in zip(named, found[3], strict=True):
        assert part["store_row"].to_pylist() == row["store_row"].to_pylist()
    assert gathered.shards == len(set(expected[3]["shard"].to_pylist()))
    assert (gathered.locations_count, gathered.patches_count) == (len(expected[2]), len(expected[3]))
    assert gathered.locations_extent == extent_of(shapely.from_wkb(expected[2]["geometry"].to_numpy()))
    assert gathered.tuples_extent == extent_of(shapely.from_wkb(expected[1]["geometry"].to_numpy()))


@pytest.mark.parametrize("rows_in_a_group", [1, 2, 3, 100])
def test_how_rows_are_divided_does_not_change_a_file(tmp_path, monkeypatch, rows_in_a_group):
    monkeypatch.setattr("spectralearth_build.columns.ROW_GROUP", rows_in_a_group)
    places = [(1, 32601, col) for col in range(7)]
    table = tables_of({"overlaps": [], "tuples": [], "locations": places, "patches": []}).locations
    extent = extent_of(shapely.from_wkb(table["geometry"].to_numpy()))
    LOCATIONS.write(table, tmp_path / "whole", ("a",))
    parts = [table.slice(0, 3), table.slice(3, 0), table.slice(3, 1), table.slice(4)]
    LOCATIONS.write_parts(iter(parts), tmp_path / "parts", ("a",), extent)
    assert (tmp_path / "whole" / LOCATIONS.file).read_bytes() == (
        tmp_path / "parts" / LOCATIONS.file
    ).read_bytes()
    assert pa.concat_tables(LOCATIONS.parts(tmp_path / "parts")).equals(table)
    assert LOCATIONS.extent(tmp_path / "parts") == extent
