"""The benchmarks of large tables and of object stores, on small data."""

import shutil

import pandas as pd
import pytest

from spectralearth_build.bench.feeding import large_tables, objects, querying
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.tables import LOCATIONS, PATCHES

pytest.importorskip("obstore")
from spectralearth_build.storage import client


@pytest.fixture(scope="module")
def tables(handmade, tmp_path_factory):
    return querying.prepare(tmp_path_factory.mktemp("bench"), handmade.folder, 300, 500)


def test_tables_are_those_of_a_dataset(tables, handmade):
    patches, locations = PATCHES.read(tables), LOCATIONS.read(tables)
    assert len(patches) == patches["patch_id"].nunique() == 500
    assert len(locations) == locations["location_id"].nunique() == 300
    assert set(patches["location_id"]) == set(locations["location_id"])
    assert set(patches["store_row"]) <= set(PATCHES.read(handmade.folder)["store_row"])
    assert locations.geometry.is_valid.all()
    assert locations.crs == "EPSG:4326"


def test_tables_that_were_not_finished_or_of_another_dataset_are_not_used(handmade, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(large_tables, "_patches", stopped)
        with pytest.raises(KeyboardInterrupt):
            querying.prepare(tmp_path, handmade.folder, 30, 50)
    assert list(tmp_path.iterdir()) == []
    made = querying.prepare(tmp_path, handmade.folder, 30, 50)
    assert len(open_dataset(made).query()) == 49
    assert querying.prepare(tmp_path, handmade.folder, 30, 50) == made
    twin = shutil.copytree(handmade.folder, tmp_path / "twin" / handmade.folder.name)
    other = querying.prepare(tmp_path, twin, 30, 50)
    assert (other / "store.zarr").resolve() == twin / "store.zarr"


def test_the_most_locations_do_not_overlap():
    last = large_tables._locations(pd.RangeIndex(large_tables.MOST)[-3:].to_numpy(), large_tables.MOST)
    first = large_tables._locations(pd.RangeIndex(3).to_numpy(), large_tables.MOST)
    assert last["epsg"].to_pylist() == [32760] * 3
    assert first["lattice_col"].to_pylist() == [16_666 - 5120 + 128 * k for k in range(3)]


def test_steps_are_measured(tables):
    measured = querying.measure(tables, pixels=True)
    rows = dict(zip(measured["step"], measured["rows"], strict=True))
    assert rows["whole earth"] == rows["whole earth, again"] == 490
    patch = querying.patch_cost(tables, rounds=1)
    assert all(cost > 0 for cost in patch.values())
    text = "\n".join(querying.lines(measured, patch, "about"))
    assert "whole earth, again" in text
    assert "ratio" in text


@pytest.mark.slow
def test_delays_are_measured(tables, monkeypatch):
    monkeypatch.setattr(objects, "BATCH", 8)
    client.store_of.cache_clear()
    measured = objects.measure(tables, [0, 400], batches=2, rounds=1)
    client.store_of.cache_clear()
    assert measured["delay_ms"].tolist() == [0, 400]
    assert (measured[["patches_s", "cpu_ms"]] > 0).all(axis=None)
    assert measured["first_s"].iloc[1] > 1.2  # metadata, index, patch
    assert "400 ms" in "\n".join(objects.lines(measured, "about"))
