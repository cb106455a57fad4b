import math

import numpy as np
import pandas as pd
import pytest
import zarr

from tests.support.loader_data import pixels_of

pytest.importorskip("torch")
from spectralearth_build.bench.feeding import loading, loading_data, loading_report, rivals
from spectralearth_build.bench.feeding.loading_data import StoredFormats
from spectralearth_build.store.codec import PATCH_BYTES


@pytest.fixture(scope="module")
def formats(known, tmp_path_factory):
    rows = tuple(known.written["store_row"].tolist())
    plain = tmp_path_factory.mktemp("plain") / "a"
    loading_data._write_plain(known.folder, rows, plain)
    return StoredFormats(known.folder, rows, plain, {})


def test_the_plain_store_holds_the_same_patches(formats):
    array = zarr.open_array(formats.plain, mode="r")
    for place, row in enumerate(formats.rows):
        assert np.array_equal(array[place], pixels_of(row))
    dataset = rivals.ZarrPatches(formats.plain, tuple(range(len(formats.rows))))
    assert np.array_equal(dataset[3].numpy(), pixels_of(formats.rows[3]))
    assert np.array_equal(rivals.OurPatches(formats.dataset)[2].numpy(), pixels_of(formats.rows[2]))


@pytest.mark.slow
def test_limits_and_readers_get_every_patch(formats, monkeypatch):
    monkeypatch.setattr(loading, "BATCH", 4)
    everyone = [*loading._limits(formats, 2, 0), *loading._readers(formats, 0)]
    assert [one.run() for one in everyone] == [15] * len(everyone)
    assert {(one.name, one.how) for one in everyone} >= {
        (loading.RAW, "1 thread"), (loading.RAW, "2 threads"), (loading.MEMCPY, "2 threads"),
        (loading.BLOSC, "1 thread"), (loading.READER, "1 thread"), (loading.ZARR, "1 thread"),
    }  # fmt: skip
    loading_data.drop([formats.array])
    steps = loading.parts(formats, 0)
    assert all(0 < milliseconds < 1000 for milliseconds in steps.values())


def test_simulated_tables(formats, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "BATCH", 4)
    found = loading.first_batch(formats, 1000, tmp_path / "many", 2)
    assert set(found) == {"patches", "two dates"}
    table = pd.read_parquet(tmp_path / "many/patches.parquet")
    assert len(table) == table["patch_id"].nunique() == 1000
    assert set(table["store_row"]) == set(formats.rows)
    assert table.groupby("location_id").size().max() == 3


def test_memory_is_watched(formats):
    tenth, end = loading.memory(formats, 30, 2)
    assert 50 < tenth <= end + 50


def made_up():
    rows = [
        ("limit", loading.MEMCPY, "1 thread", "warm", 10, 0.01, 0.02),
        ("limit", loading.RAW, "1 thread", "warm", 10, 1.0, 2.0),
        ("limit", loading.RAW, "2 threads", "warm", 10, 0.5, 1.0),
        ("reader", loading.READER, "1 thread", "warm", 10, 1.25, 2.5),
        ("reader", loading.READER, "1 thread", "cold", 10, 2.0, 4.0),
        ("reader", loading.ZARR, "1 thread", "warm", 10, 2.5, 5.0),
        ("reader", loading.ZARR, "1 thread", "cold", 10, 8.0, 16.0),
        ("loader", loading.LOADER, "2 threads", "warm", 10, 0.625, 1.25),
        ("loader", loading_report.GEOTIFF, "2 processes", "warm", 10, 5.0, 10.0),
    ]
    return pd.DataFrame(rows, columns=["kind", "name", "how", "state", "patches", "seconds", "cpu_seconds"])


def test_rates_and_ratios_by_hand():
    rates = loading_report.rates(made_up())
    assert rates["patches_s"].tolist()[1:3] == [10, 20]
    assert math.isclose(rates["mb_s"][1], 10 * PATCH_BYTES / 1e6)
    found = loading_report.ratios(made_up()).set_index(["ours", "over", "state"])["ratio"]
    assert found.to_dict() == pytest.approx({
        (loading.READER, loading.MEMCPY, "warm"): 0.008,
        (loading.READER, loading.RAW, "warm"): 0.8,
        (loading.READER, loading.ZARR, "warm"): 2.0,
        (loading.READER, loading.ZARR, "cold"): 4.0,
        (loading.LOADER, loading.RAW, "warm"): 0.8,
        (loading.LOADER, loading_report.GEOTIFF, "warm"): 8.0,
    })  # fmt: skip


def test_processor_time_of_other_processes_is_unknown():
    measured = made_up()
    measured.loc[8, "cpu_seconds"] = math.nan
    found = loading_report.ratios(measured).set_index(["ours", "over", "state"])["cpu_ratio"]
    assert found[loading.READER, loading.RAW, "warm"] == pytest.approx(0.8)
    assert math.isnan(found[loading.LOADER, loading_report.GEOTIFF, "warm"])


def test_what_people_see(tmp_path):
    text = "\n".join(
        loading_report.lines(made_up(), {"all together": 2.5}, {"patches": 0.6}, (900.0, 901.0), "10 patches")
    )
    for expected in ("GeoTIFF (deflate), DataLoader", "first batch of a loader of patches: 0.60 s", "900 MB"):
        assert expected in text
    assert loading_report.draw(made_up(), tmp_path / "a.png", "10 patches").stat().st_size > 20_000
