"""Queries read only what they need of a large dataset, and give what reading all of it would."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spectralearth_build import columns
from spectralearth_build.bench.feeding import large_tables
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.dataset.outlines import Outlines, bounds_of_wkb
from spectralearth_build.dataset.select import halves
from spectralearth_build.dataset.snapshot import Snapshot
from spectralearth_build.dataset.table_rows import TableRows
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.tables import LOCATIONS, PATCHES

WORLD = (-180, -90, 180, 90)
KEYS = ["patch_id", "location_id", "acquired", "store_row", "checksum"]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A dataset of 3,000 locations on all lattices, 7,000 patches, in row groups of 500."""
    folder = tmp_path_factory.mktemp("large") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        for module in (columns, large_tables):
            patch.setattr(module, "ROW_GROUP", 500)
        large_tables.write_tables(folder, 3000, 7000)
    return folder


@pytest.fixture(scope="module")
def shapes(large):
    """The outlines of its locations."""
    return LOCATIONS.read(large).geometry.to_numpy()


@pytest.fixture(scope="module")
def outlines(large):
    return Outlines(Snapshot(LOCATIONS, large))


@pytest.fixture
def read(monkeypatch):
    """The row groups and columns that are read."""
    calls, whole = [], pq.ParquetFile.read_row_group

    def counted(self, group, names, **options):
        calls.append((group, tuple(names)))
        return whole(self, group, names, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    return calls


longitude, latitude = st.floats(-180, 180), st.floats(-90, 90)
corner = st.sampled_from([-180.0, -177.0, -90.0, 0.0, 3.0, 90.0, 180.0])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example((-180.0, -90.0, 180.0, 90.0))
@example((180.0, -90.0, -180.0, 90.0))  # a line at the antimeridian
@example((3.0, 0.0, 3.0, 0.0))
@example((-180.0, 0.0, 180.0, 0.0))
@example((170.0, -80.0, -170.0, 80.0))
@given(st.tuples(longitude | corner, latitude | corner.map(lambda x: x / 2), longitude | corner, latitude))
def test_boxes_touch_what_shapely_says(shapes, outlines, box):
    west, (south, north), east = box[0], sorted((box[1], box[3])), box[2]
    expected = np.zeros(len(shapes), bool)
    for one in halves((west, south, east, north)):
        corners = shapely.MultiPoint([one[:2], one[2:]]).envelope  # polygon or point, but a line for no area
        if not corners.area and corners.geom_type == "Polygon":
            corners = shapely.LineString([one[:2], one[2:]])
        expected |= shapely.intersects(shapes, corners)
    assert np.array_equal(outlines.touched_by(halves((west, south, east, north))), expected)


def test_a_box_at_the_edge_of_a_window_is_decided_in_double_precision(shapes, outlines):
    for row in range(0, len(shapes), 100):
        _, south, east, north = shapes[row].bounds
        for west in (east, np.nextafter(east, 999)):
            box = (west, south, min(180.0, west + 1), north)
            assert outlines.touched_by([box])[row] == shapely.box(*box).intersects(shapes[row])


def test_bounds_of_any_shapes():
    shapes = [
        shapely.box(0.1, 0.2, 0.3, 0.4),
        shapely.Point(7, 8),
        None,
        shapely.union(shapely.box(-180, 0, -179, 1), shapely.box(179, 0, 180, 1)),
        shapely.Polygon([(0, 0), (9, 1), (8, 8), (1, 9)]),
        shapely.LineString([(0, 0), (1, 1), (2, 2), (3, 5), (4, 4)]),
    ]
    array = pa.array([None if shape is None else shapely.to_wkb(shape) for shape in shapes])
    for part in (array, array.slice(1), array.slice(0, 1), array.slice(4, 1), array.slice(0, 0)):
        exact = shapely.bounds(shapely.from_wkb(part.to_numpy(zero_copy_only=False)))
        found = bounds_of_wkb(part)
        assert np.array_equal(np.isnan(found), np.isnan(exact))
        there = ~np.isnan(exact[:, 0])
        assert np.allclose(found[there], exact[there], rtol=1e-7)
        assert (found[there, :2] <= exact[there, :2]).all()
        assert (found[there, 2:] >= exact[there, 2:]).all()


def brute(folder, bbox, time, least, cloud):
    """The patches that meet conditions, from whole tables."""
    patches, locations = PATCHES.read(folder), LOCATIONS.read(folder)
    found = patches[patches["status"] == "written"]
    near = [locations[locations.intersects(shapely.box(*box))]["location_id"] for box in halves(bbox)]
    found = found[found["location_id"].isin(pd.concat(near))]
    found = found[(found["acquired"] >= time[0]) & (found["acquired"] < time[1])]
    found = found[found["cloud_fraction"] <= cloud]
    return found[found.groupby("location_id")["patch_id"].transform("size") >= least]


@pytest.mark.parametrize(
    "bbox", [WORLD, (-60, -40, 70, 50), (0, 0, 1, 1), (120, -80, -120, 80), (0, -90, 0.5, -89)]
)
@pytest.mark.parametrize(("least", "cloud"), [(1, 1), (2, 0.07)])
@pytest.mark.parametrize("loaded", [False, True])
def test_queries_equal_filtered_tables(large, bbox, least, cloud, loaded):
    time = (pd.Timestamp("2022-12-24T10:00", tz="UTC"), pd.Timestamp("2025-08-01", tz="UTC"))
    dataset = open_dataset(large)
    if loaded:
        assert len(dataset.patches) == 7000
    expected = brute(large, bbox, time, least, cloud)
    found = dataset.query(bbox, time, least, cloud)
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(dataset.query(bbox, time, least, cloud, columns=KEYS), expected[KEYS])
    assert ("patches" in dataset.__dict__) == loaded


def test_opening_reads_no_table(large, read, monkeypatch):
    monkeypatch.setattr(pq, "read_table", None)
    monkeypatch.setattr(pd, "read_parquet", None)
    open_dataset(large)
    assert read == []


def test_the_whole_earth_needs_no_outlines_and_no_names(large, read):
    assert len(open_dataset(large).query(WORLD, columns=["store_row"])) == 6860
    assert {names for _, names in read} == {("status",), ("store_row",)}
    assert len(read) == 28  # each of 14 row groups twice


def test_only_row_groups_that_can_match_are_read(tmp_path, read):
    days = pd.Timestamp("2022-01-01", tz="UTC") + pd.to_timedelta(np.arange(600), unit="D")
    frame = pd.DataFrame({"patch_id": [f"p{k}" for k in range(600)], "location_id": "l", "acquired": days,
                          "status": "written", "store_row": range(600)})  # fmt: skip
    table = PATCHES.arrow(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ROW_GROUP", 100)
        PATCHES.write(table, tmp_path)
    (tmp_path / "store.zarr").mkdir()
    for name in ("manifest.json", "store.zarr/zarr.json"):
        (tmp_path / name).write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    found = open_dataset(tmp_path).query(time=("2022-11-15", "2022-11-20"), columns=["patch_id"])
    assert found["patch_id"].tolist() == [f"p{k}" for k in range(318, 323)]
    assert found.index.tolist() == list(range(318, 323))
    assert read == [(3, ("status", "acquired")), (3, ("patch_id",))]


def test_rows_have_the_types_of_the_whole_table(tmp_path):
    frame = PATCHES.frame({"patch_id": ["a", "b", "c"], "checksum": [1, None, 3], "resampled": [True, None, False],
                           "store_row": [5, 6, 7], "cloud_fraction": [0.1, None, 0.3]})  # fmt: skip
    PATCHES.write(frame, tmp_path)
    names = ["patch_id", "checksum", "resampled", "store_row", "cloud_fraction", "correction"]
    whole = PATCHES.read(tmp_path)[names]
    rows = TableRows(Snapshot(PATCHES, tmp_path), "location_id", [])
    for chosen in ([0, 2], [0], [1], [], [0, 1, 2]):
        part = rows.frame(np.array(chosen, np.int64), names)
        pd.testing.assert_frame_equal(part, whole.iloc[chosen], check_index_type=False)


def test_columns_of_later_versions_are_null(tmp_path):
    frame = PATCHES.frame({"patch_id": ["a", "b"], "location_id": ["x", "y"], "checksum": [1, 2]})
    (tmp_path / PATCHES.file).write_bytes(PATCHES.of_before(PATCHES.encode(frame)))
    rows = TableRows(Snapshot(PATCHES, tmp_path), "location_id", ["patch_id", "checksum"])
    pd.testing.assert_frame_equal(
        rows.frame(np.array([1]), None), PATCHES.read(tmp_path).iloc[[1]], check_index_type=False
    )
    assert rows.find("y") == [{"location_id": "y", "patch_id": "b", "checksum": None, "row": 1}]


def test_rows_are_found_by_text(large):
    patches = PATCHES.read(large)
    rows = TableRows(Snapshot(PATCHES, large), "location_id", ["patch_id", "acquired"])
    for name, group in list(patches.groupby("location_id"))[::97]:
        found = rows.find(name)
        assert [row["row"] for row in found] == group.index.tolist()
        assert [row["patch_id"] for row in found] == group["patch_id"].tolist()
    assert rows.find("nowhere") == []


def test_rows_with_equal_hashes_are_told_apart(large, monkeypatch):
    monkeypatch.setattr(pd.util, "hash_array", lambda values, **_: np.zeros(len(values), np.uint64))
    patches = PATCHES.read(large)
    rows = TableRows(Snapshot(PATCHES, large), "location_id", ["patch_id"])
    name = patches["location_id"].iloc[1234]
    assert [row["row"] for row in rows.find(name)] == np.flatnonzero(patches["location_id"] == name).tolist()


def test_damaged_and_missing_tables_are_named(tmp_path):
    rows = TableRows(Snapshot(PATCHES, tmp_path), "location_id", ["patch_id"])
    with pytest.raises(UsageError, match=r"There is no patches\.parquet"):
        rows.find("x")
    (tmp_path / PATCHES.file).write_bytes(b"rubbish")
    for ask in (
        lambda: rows.find("x"),
        lambda: rows.where(["status"]),
        lambda: rows.frame(np.array([0]), None),
    ):
        with pytest.raises(DamagedError, match=r"patches\.parquet: The table cannot be read"):
            ask()
    rows = TableRows(Snapshot(PATCHES, tmp_path), "location_id", ["patch_id"])
    pd.DataFrame({"patch_id": ["a"]}).to_parquet(tmp_path / PATCHES.file)
    with pytest.raises(UsageError, match="Columns are missing: location_id"):
        rows.where(["location_id"])


def test_an_opened_dataset_can_be_sent_to_another_process(large):
    dataset = open_dataset(large)
    found = dataset.query((0, 0, 5, 5))
    again = pickle.loads(pickle.dumps(dataset))
    assert again == dataset
    pd.testing.assert_frame_equal(again.query((0, 0, 5, 5)), found)
