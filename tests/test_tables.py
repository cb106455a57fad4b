import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shapely.geometry import Point, box

from spectralearth_build.columns import Column, Table
from spectralearth_build.errors import UsageError
from spectralearth_build.tables import ALL, LOCATIONS, OVERLAPS, PATCHES, STATUSES, TILES, TUPLES

# What users rely on: removing or renaming one of these breaks them.
PUBLISHED = {
    "tiles.parquet": "product_id tile_id datatake tile version acquired epsg path status reason cloud_cover "
    "sun_elevation geometry",
    "overlaps.parquet": "tile_a tile_b component area_km2",
    "tuples.parquet": "component n datatakes tiles windows area_km2 geometry",
    "locations.parquet": "location_id epsg lattice_col lattice_row n component geometry",
    "patches.parquet": "patch_id location_id tile_id datatake acquired store_row shard cloud_fraction resampled",
    "quarantine.parquet": "error_class cause stage tile_id path reason remedy",
    "splits.parquet": "patch_id location_id split reason",
    "labels.parquet": "label patch_id location_id store_row year source labelled_fraction classes majority status "
    "reason",
}


def test_the_published_columns_are_there():
    assert {table.file for table in ALL} == set(PUBLISHED)
    for table in ALL:
        names = [column.name for column in table.columns]
        assert set(PUBLISHED[table.file].split()) <= set(names)
        assert len(names) == len(set(names))
        assert all(column.meaning.endswith(".") for column in table.columns)
    assert [table.spatial for table in ALL] == [True, False, True, True, False, False, False, False]
    assert STATUSES == ("used", "unused", "superseded", "duplicate", "rejected", "quarantined")


def test_a_tile_comes_back_with_its_types(tmp_path):
    acquired = pd.Timestamp("2022-07-28T10:17:54.123456Z")
    row = {
        "tile_id": "DT0000001849_005",
        "tile": 5,
        "acquired": acquired,
        "eligible": True,
        "band_index": np.arange(202, dtype=np.int32),
        "wavelength_nm": [418.24] * 202,
        "geometry": box(10, 48, 11, 49),
        "made_up": 1,
    }
    TILES.write(TILES.frame([row, {"tile_id": "broken"}]), tmp_path)
    frame = TILES.read(tmp_path)
    assert isinstance(frame, gpd.GeoDataFrame)
    assert list(frame.columns) == [column.name for column in TILES.columns]
    assert frame.crs == "EPSG:4326"
    assert frame.acquired[0] == acquired
    assert frame.geometry[0].equals(box(10, 48, 11, 49))
    assert list(frame.band_index[0]) == list(range(202))
    assert frame.geometry[1] is None
    assert pd.isna(frame.acquired[1])
    assert frame.band_index[1] is None


def test_files_have_exactly_the_declared_types(tmp_path):
    for table in ALL:
        table.write(table.frame([]), tmp_path)
        schema = pq.read_schema(tmp_path / table.file)
        for column in table.columns:
            if column.type is not None:
                assert schema.field(column.name).type == column.type, (table.file, column.name)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = [{"location_id": f"32632_{n}_0", "n": n, "geometry": Point(n, 0)} for n in range(50)]
    first = LOCATIONS.write(LOCATIONS.frame(rows), tmp_path / "a").read_bytes()
    shuffled = LOCATIONS.frame(rows[::-1]).iloc[::-1]  # another index, columns in another order
    second = LOCATIONS.write(shuffled[list(shuffled.columns)[::-1]], tmp_path / "b").read_bytes()
    assert first == second


def test_some_columns_only(tmp_path):
    PATCHES.write(PATCHES.frame([{"patch_id": "p", "sources": ["a", "b"], "store_row": 2**40}]), tmp_path)
    frame = PATCHES.read(tmp_path, ["store_row", "sources"])
    assert sorted(frame.columns) == ["sources", "store_row"]
    assert frame.store_row[0] == 2**40
    assert list(frame.sources[0]) == ["a", "b"]
    TUPLES.write(TUPLES.frame([{"n": 2, "geometry": Point(1, 2)}]), tmp_path)
    assert not isinstance(TUPLES.read(tmp_path, ["n"]), gpd.GeoDataFrame)
    assert TUPLES.read(tmp_path, ["n", "geometry"]).geometry[0] == Point(1, 2)


def test_absent_files_and_columns_are_said(tmp_path):
    with pytest.raises(UsageError, match=r"There is no overlaps\.parquet"):
        OVERLAPS.read(tmp_path)
    pq.write_table(pa.table({"tile_a": ["x"]}), tmp_path / OVERLAPS.file)
    with pytest.raises(UsageError, match=r"tile_b, component, .*area_km2"):
        OVERLAPS.read(tmp_path)


def test_columns_of_a_later_version_are_nulls_in_older_files(tmp_path):
    columns = (Column("a", pa.string(), "First."), Column("b", pa.float64(), "Second."))
    new = Column("c", pa.string(), "Third.", later=True)
    Table("t.parquet", "Old.", columns).write(pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}), tmp_path)
    table = Table("t.parquet", "New.", (columns[0], new, columns[1]))
    frame = table.read(tmp_path)
    assert list(frame.columns) == ["a", "c", "b"]
    assert frame["c"].isna().all()
    assert list(table.read(tmp_path, ["b"]).columns) == ["b"]
    assert list(table.read(tmp_path, ["c", "b"])["b"]) == [1.0, 2.0]
    assert len(table.read(tmp_path, ["c"])) == 2
    table.write(frame.assign(c=["p", "q"]), tmp_path)
    assert list(table.read(tmp_path)["c"]) == ["p", "q"]


def test_values_of_the_wrong_type_are_refused():
    with pytest.raises(pa.ArrowInvalid):
        LOCATIONS.frame([{"n": "many"}])


def test_large_row_groups_are_those_of_before():
    """As the versions wrote that passed a whole table to pyarrow with row groups of 131,072 rows."""
    count = TILES.row_group + 1
    rows = TILES.arrow(
        {"product_id": [f"p{n}" for n in range(count)], "band_index": [[n] for n in range(count)]}
    )
    now = TILES.encode(rows, ("a", "b"))
    assert pq.read_metadata(pa.BufferReader(now)).num_row_groups == 2
    schema = rows.schema.with_metadata(pq.read_schema(pa.BufferReader(now)).metadata)
    expected = pa.BufferOutputStream()
    pq.write_table(rows.cast(schema), expected, compression="zstd", row_group_size=1 << 17)
    assert TILES.in_large_groups(now) == expected.getvalue().to_pybytes()
