import doctest
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio.transform
import shapely
import zarr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spectralearth_build.dataset import access
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.tables import SPLITS
from tests.support.handmade_dataset import NOMINAL, PATCH_ROWS, PLACES, TAKES

DEEP, EDGE = "32632_20000_174000", "32660_27189_66673"


@pytest.fixture(scope="module")
def dataset(handmade):
    return open_dataset(handmade.folder)


@pytest.mark.parametrize("gone", ["manifest.json", "store.zarr/zarr.json"])
def test_an_unfinished_dataset_does_not_open(tmp_path, gone):
    (tmp_path / "store.zarr").mkdir()
    for name in {"manifest.json", "store.zarr/zarr.json"} - {gone}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=f"unfinished: {gone}"):
        open_dataset(tmp_path)


def test_a_missing_folder_does_not_open(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        open_dataset(tmp_path / "nothing")


def test_frames_are_the_tables(dataset):
    assert len(dataset.patches) == len(PATCH_ROWS)
    assert list(dataset.locations["location_id"]) == list(PLACES)
    assert len(dataset.tiles) == len(PATCH_ROWS) + 5
    assert dataset.tiles.crs == "EPSG:4326"


def test_query_without_conditions_gives_what_was_written(dataset):
    assert list(dataset.query().index) == [k for k, row in enumerate(PATCH_ROWS) if row[3] == "written"]


degrees = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90))
near = st.tuples(st.floats(9.9, 11), st.floats(46.9, 47.2), st.floats(9.9, 11), st.floats(46.9, 47.2))
days = st.sampled_from([None, "2022-07-03", "2022-07-04", "2023-01-15T10:21:31", "2024-07-20", "2025-01-01"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(box=(1.0, 47.125, 0.0, 47.125), start=None, end=None, least=1, cloud=0.0)  # a line around the world
@given(box=degrees | near, start=days, end=days, least=st.integers(1, 4), cloud=st.floats(0, 0.06))
def test_query_equals_brute_force(dataset, box, start, end, least, cloud):
    west, east = box[0], box[2]
    south, north = sorted((box[1], box[3]))
    if start is not None and end is not None and start >= end:
        start, end = None, start
    found = dataset.query((west, south, east, north), (start, end), least, cloud)

    corners = [(west, south), (east + (360 if west > east else 0), north)]
    line = shapely.LineString(corners)
    wrapped = line.envelope if line.envelope.area else line
    shapes = dict(zip(dataset.locations["location_id"], dataset.locations.geometry, strict=True))

    def touches(shape):
        return any(
            shapely.transform(shape, lambda xy, t=turn: xy + (t, 0)).intersects(wrapped) for turn in (0, 360)
        )

    rows = [
        row
        for row in dataset.patches.to_dict("records")
        if row["status"] == "written"
        and touches(shapes[row["location_id"]])
        and (start is None or row["acquired"] >= pd.Timestamp(start, tz="UTC"))
        and (end is None or row["acquired"] < pd.Timestamp(end, tz="UTC"))
        and row["cloud_fraction"] <= cloud
    ]
    counts = pd.Series([row["location_id"] for row in rows]).value_counts()
    expected = [row["patch_id"] for row in rows if counts[row["location_id"]] >= least]
    assert list(found["patch_id"]) == expected


def test_a_box_across_the_antimeridian_finds_the_window_there(dataset):
    assert set(dataset.query(bbox=(179.9, 10, -179.9, 20))["location_id"]) == {EDGE}
    assert set(dataset.query(bbox=(-180, 10, -179.9, 20))["location_id"]) == {EDGE}
    assert EDGE not in set(dataset.query(bbox=(-179.9, 10, 179.9, 20))["location_id"])


def test_min_dates_counts_what_the_other_conditions_leave(dataset):
    assert len(dataset.query(min_dates=4)) == 4
    assert dataset.query(min_dates=4, max_cloud=0.03).empty
    assert len(dataset.query(min_dates=3, max_cloud=0.03)) == 3


@pytest.mark.parametrize("bbox", [(0, 10, 10, 0), (0, 0, 200, 10), (0, -100, 10, 0), (float("nan"), 0, 1, 1)])
def test_a_senseless_box_is_refused(dataset, bbox):
    with pytest.raises(UsageError, match="west, south, east, north"):
        dataset.query(bbox=bbox)


def test_senseless_times_are_refused(dataset):
    with pytest.raises(UsageError, match="not a date"):
        dataset.query(time=("yesterday-ish", None))
    with pytest.raises(UsageError, match="ends before"):
        dataset.query(time=("2024-01-01", "2023-01-01"))


def test_splits(dataset, handmade, tmp_path):
    with pytest.raises(UsageError, match="no splits"):
        dataset.query(split="train")
    for path in handmade.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    parts = pd.DataFrame({"location_id": list(PLACES), "split": ["train", "val", "train", "test", "test"]})
    parts.to_parquet(tmp_path / "splits.parquet")
    split = open_dataset(tmp_path)
    first, _, third, *_ = PLACES
    assert set(split.query(split="train")["location_id"]) == {first, third}
    with pytest.raises(UsageError, match="There are: test, train, val"):
        split.query(split="trian")


def test_splits_by_patch(handmade, tmp_path):
    for path in handmade.folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    patches = open_dataset(handmade.folder).query()
    parts = ["train", "", "train", "test", "test", *["val"] * (len(patches) - 5)]
    SPLITS.write(SPLITS.frame(patches[["patch_id", "location_id"]].assign(split=parts, reason="")), tmp_path)
    split = open_dataset(tmp_path)
    assert split.query(split="train")["patch_id"].tolist() == patches["patch_id"].iloc[[0, 2]].tolist()
    few = split.query(split="test", columns=["store_row"])
    assert few.columns.tolist() == ["store_row"]
    assert few["store_row"].tolist() == patches["store_row"].iloc[[3, 4]].tolist()
    with pytest.raises(UsageError, match="There are: test, train, val"):
        open_dataset(tmp_path).query(split="")


@pytest.mark.slow
def test_patch_equals_what_was_written(dataset, handmade):
    for k, (place, take, cloud, status) in enumerate(PATCH_ROWS):
        if status != "written":
            continue
        location, datatake = list(PLACES)[place], list(TAKES)[take]
        patch = dataset.patch(location, datatake)
        assert patch.dims == ("band", "y", "x")
        assert patch.dtype == np.int16
        np.testing.assert_array_equal(patch, handmade.pixels[f"{location}_{datatake}"])
        assert patch.attrs["patch_id"] == f"{location}_{datatake}"
        assert patch.attrs["cloud_fraction"] == cloud
        assert patch.attrs["tile_id"] == f"{datatake}_{k + 1:03d}"
        assert (patch.attrs["scale"], patch.attrs["nodata"]) == (1e-4, -32768)


def test_patch_equals_a_plain_zarr_read(dataset, handmade):
    group = zarr.open_group(handmade.folder / "store.zarr", mode="r")
    np.testing.assert_array_equal(dataset.patch(EDGE, "2024-07-20"), group["reflectance"][2 * 7])


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio 1.4 multiplies affine 3 with *
def test_patch_lies_where_rasterio_puts_it(dataset):
    patch = dataset.patch(DEEP, "2022-07-03")
    transform = rasterio.transform.from_origin(15 + 30 * 20000, 15 + 30 * 174000, 30, 30)
    x, y = rasterio.transform.xy(transform, [0, 127], [0, 127], offset="center")
    np.testing.assert_array_equal(patch.x[[0, -1]], x)
    np.testing.assert_array_equal(patch.y[[0, -1]], y)
    assert patch.attrs["crs"] == "EPSG:32632"
    assert patch.attrs["acquired"] == "2022-07-03T10:20:30Z"


@pytest.mark.slow
def test_wavelengths_are_those_of_the_tile(dataset):
    np.testing.assert_allclose(dataset.patch(DEEP, "2023-01-15").wavelength_nm, NOMINAL + 0.2)
    tile = dataset.tiles.set_index("tile_id").loc[dataset.patch(EDGE, "DT0000000004").attrs["tile_id"]]
    np.testing.assert_array_equal(dataset.patch(EDGE, "DT0000000004").wavelength_nm, tile["wavelength_nm"])
    np.testing.assert_array_equal(dataset.patch(EDGE, "DT0000000004").fwhm_nm, tile["fwhm_nm"])


@pytest.mark.slow
def test_dates_may_be_datatakes_days_or_moments(dataset):
    for date in ("DT0000000002", "2023-01-15", "2023-01-15T10:21:31", np.datetime64("2023-01-15"),
                 pd.Timestamp("2023-01-15T11:21:31+01:00")):  # fmt: skip
        assert dataset.patch(DEEP, date).attrs["datatake"] == "DT0000000002"
    with pytest.raises(UsageError, match=r"2 patches.*It has: DT0000000001 2022-07-03"):
        dataset.patch(DEEP, "2024-07-20")
    with pytest.raises(UsageError, match="no patch on 2021"):
        dataset.patch(DEEP, "2021-01-01")


def test_skipped_patches_cannot_be_read(dataset):
    with pytest.raises(UsageError, match="no patch"):
        dataset.patch("32733_15000_250000", "DT0000000001")


@pytest.mark.slow
def test_series_is_in_order_of_time(dataset, handmade):
    series = dataset.series(DEEP)
    assert series.dims == ("date", "band", "y", "x")
    assert list(series.datatake.values) == list(TAKES)
    np.testing.assert_array_equal(series.date, np.array([t for t, _ in TAKES.values()], "datetime64[us]"))
    for k, name in enumerate(TAKES):
        np.testing.assert_array_equal(series[k], handmade.pixels[f"{DEEP}_{name}"])
        np.testing.assert_allclose(series.wavelength_nm[k], NOMINAL + list(TAKES.values())[k][1])
    assert list(series.resampled.values) == [False, True, False, False]


def test_series_of_nowhere_is_refused(dataset):
    with pytest.raises(UsageError, match="No written patch at location 'x'"):
        dataset.series("x")


@pytest.mark.slow
def test_a_lost_shard_is_noticed(handmade, tmp_path):
    for path in handmade.folder.iterdir():
        if path.name != "store.zarr":
            (tmp_path / path.name).symlink_to(path)
    for path in (handmade.folder / "store.zarr").rglob("*"):
        relative = path.relative_to(handmade.folder)
        if path.is_file() and path.name != "c.1.0.0.0":
            (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / relative).symlink_to(path)
    damaged = open_dataset(tmp_path)
    assert damaged.patch(DEEP, "DT0000000001").sizes["band"] == 202
    with pytest.raises(DamagedError, match=r"reflectance/c\..*: Rows of the store are missing: 2\."):
        damaged.patch(DEEP, "DT0000000002")
    with pytest.raises(DamagedError):
        damaged.series(DEEP)


def test_attributes_are_plain_values(dataset):
    attributes = dataset.patch(DEEP, "DT0000000001").attrs
    assert json.loads(json.dumps(attributes)) == attributes


@pytest.mark.slow
def test_examples_in_the_documentation_run(dataset, handmade):
    names = {"folder": handmade.folder, "dataset": dataset}
    result = doctest.testmod(access, extraglobs=names)
    assert result.attempted >= 8
    assert result.failed == 0


@pytest.mark.parametrize("key", ["patch_id", "location_id"])
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_splits_that_other_tools_wrote_are_read(dataset, tmp_path, key, kind):
    folder = shutil.copytree(dataset.path, tmp_path / "copy")
    names = dataset.patches[key].drop_duplicates()
    parts = ["train" if k % 2 else "val" for k in range(len(names))]
    rows = pa.table({key: pa.array(names, pa.string()), "split": parts})
    pq.write_table(rows.cast(pa.schema([(key, kind), ("split", kind)])), folder / SPLITS.file)
    chosen = set(names.iloc[1::2])
    expected = dataset.query()[lambda found: found[key].isin(chosen)]
    pd.testing.assert_frame_equal(open_dataset(folder).query(split="train"), expected)


def test_splits_may_be_numbered(dataset, tmp_path):
    folder = shutil.copytree(dataset.path, tmp_path / "copy")
    dataset.patches[["patch_id"]].assign(split=2).to_parquet(folder / SPLITS.file)
    assert len(open_dataset(folder).query(split="2")) == len(dataset.query())
    with pytest.raises(UsageError, match=r"There is no split 'train'.*There are: 2"):
        open_dataset(folder).query(split="train")
