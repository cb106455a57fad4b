from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr

from spectralearth_build.archive.bands import nominal
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import ROOT
from spectralearth_build.publishing import publish as module
from spectralearth_build.publishing.publish import publish
from spectralearth_build.tables import LOCATIONS, PATCHES
from tests.support.files import tree
from tests.support.rtree_query import query_index
from tests.support.store_study import A1, A2, A3, B1, PLAN_ID, ROWS, ZONE, location_id, window_of

WRITTEN = [row for row, *_ in ROWS]


def test_publishing_alone_completes_a_dataset(finished_study, unpublished):
    done = publish(unpublished.dataset)
    assert (done.changed, done.written, done.skipped, done.failed) == (True, 8, 0, ())
    assert tree(unpublished.dataset) == tree(finished_study.dataset)


@pytest.mark.parametrize("last", ["patches.parquet", "statistics.json", "manifest.json", ROOT])
def test_crash_before_any_file_then_again(finished_study, unpublished, monkeypatch, last):
    def crash(path, content, real=module.put):
        if path == unpublished.dataset / last:
            raise KeyboardInterrupt
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(module, "put", crash)
        with pytest.raises(KeyboardInterrupt):
            publish(unpublished.dataset)
    assert not (unpublished.dataset / ROOT).exists()
    assert publish(unpublished.dataset).changed
    assert tree(unpublished.dataset) == tree(finished_study.dataset)


def test_the_root_is_written_last_and_goes_first(finished, monkeypatch):
    (finished.dataset / "statistics.json").write_text("{}")
    written = []

    def watched(path, content, real=module.put):
        assert not (finished.dataset / ROOT).exists()
        written.append(path.relative_to(finished.dataset).as_posix())
        real(path, content)

    monkeypatch.setattr(module, "put", watched)
    publish(finished.dataset)
    assert written == ["statistics.json", ROOT]


def test_publishing_again_touches_nothing(finished):
    def times():  # scratch and the note on what was published are in the work folder
        return {p: p.stat().st_mtime_ns for p in finished.dataset.rglob("*") if "work" not in p.parts}

    before = times()
    assert not publish(finished.dataset).changed
    assert times() == before


def test_what_no_commit_vouches_for_is_deleted(finished_study, finished):
    for name in ("store.zarr/reflectance/c.9.0.0.0", "commits/shard-00000009.json"):
        (finished.dataset / name).write_bytes(b"?")
    assert publish(finished.dataset).changed
    assert tree(finished.dataset) == tree(finished_study.dataset)


def test_shards_that_are_not_cut_yet(unpublished):
    (unpublished.dataset / "commits/shard-00000002.json").unlink()
    with pytest.raises(UsageError, match="1 of 5 shards are not cut yet"):
        publish(unpublished.dataset)
    assert not (unpublished.dataset / ROOT).exists()


def test_manifest(finished_study):
    manifest = json.loads((finished_study.dataset / "manifest.json").read_bytes())
    assert manifest["plan"] == PLAN_ID
    present = tree(finished_study.dataset)
    del present["manifest.json"]
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == present
    counts = manifest["counts"]
    assert counts["patches"] == {"planned": 8, "written": 8, "skipped": 0, "retired": 0}
    assert counts["locations"] == {"planned": 5, "by_dates": {"1": 2, "2": 3}}
    found = counts["tiles"].pop("found")
    assert found == sum(counts["tiles"].values()) == 5
    assert (counts["tiles"]["used"], counts["tiles"]["quarantined"]) == (4, 1)
    assert (counts["store"]["rows"], counts["store"]["shards"]) == (10, 5)
    assert {"spectralearth-build", "zarr", "numcodecs", "GDAL", "PROJ"} <= set(manifest["versions"])


def test_manifest_says_nothing_of_this_machine(finished_study):
    text = (finished_study.dataset / "manifest.json").read_text()
    assert str(finished_study.archive) not in text
    assert str(finished_study.dataset) not in text


@pytest.mark.slow
def test_statistics_against_numpy(finished_study):
    document = json.loads((finished_study.dataset / "statistics.json").read_bytes())
    pixels = zarr.open_group(finished_study.dataset / "store.zarr", mode="r")["reflectance"][:][WRITTEN]
    flat = pixels.transpose(1, 0, 2, 3).reshape(202, -1).astype(np.float64)
    assert document["count"] == 8 * 128 * 128
    np.testing.assert_allclose(document["mean"], flat.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(document["std"], flat.std(axis=1), rtol=1e-9)
    assert document["min"] == flat.min(axis=1).tolist()
    assert document["max"] == flat.max(axis=1).tolist()
    assert document["wavelength_nm"] == nominal().wavelength_nm.tolist()


@pytest.fixture(scope="module")
def opened(finished_study) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_zarr(finished_study.dataset / "store.zarr", chunks=None)


def test_xarray_opens_it_with_names_and_coordinates(opened):
    assert opened["reflectance"].dims == ("row", "band", "y", "x")
    assert dict(opened.sizes) == {"row": 10, "band": 202, "y": 128, "x": 128, "tile": 4}
    assert set(opened.data_vars) == {"reflectance"}
    assert opened["reflectance"].dtype == np.int16
    assert opened["reflectance"].attrs["scale"] == 1e-4
    assert opened["reflectance"].attrs["nodata"] == -32768


def test_coordinates_are_those_of_the_tables(opened, finished_study):
    patch = opened.isel(row=2)
    box = window_of("straddling")
    assert patch["location"].item() == location_id("straddling")
    assert (patch["epsg"].item(), patch["west"].item(), patch["north"].item()) == (
        ZONE, 15 + 30 * box.col, 15 - 30 * box.line,
    )  # fmt: skip
    assert opened["tile_id"].values.tolist() == [A1, A2, A3, B1]
    assert opened["tile_id"].values[patch["tile_index"].item()] == A2
    started = finished_study.tiles[A2].spec.started.replace(tzinfo=None)
    assert patch["acquired"].values == np.datetime64(started)
    np.testing.assert_array_equal(opened["wavelength_nm"], nominal().wavelength_nm)
    np.testing.assert_array_equal(opened["tile_wavelength_nm"][1], nominal().wavelength_nm + 0.02)


def test_padding_has_no_coordinates(opened):
    padding = opened.isel(row=[3, 9])
    assert np.isnan(padding["west"]).all()
    assert np.isnat(padding["acquired"]).all()
    assert padding["epsg"].values.tolist() == [0, 0]
    assert padding["location"].values.tolist() == ["", ""]
    assert padding["tile_index"].values.tolist() == [-1, -1]


def test_consolidated_metadata_is_that_of_the_arrays(finished_study):
    store = finished_study.dataset / "store.zarr"
    root = json.loads((store / "zarr.json").read_bytes())["consolidated_metadata"]["metadata"]
    assert {path.parent.name for path in store.glob("*/zarr.json")} == set(root)
    for name, document in root.items():
        assert json.loads((store / name / "zarr.json").read_bytes()) == document


def test_zarr_opens_it_with_and_without_consolidation(finished_study):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for consolidated in (True, False):
            group = zarr.open_group(
                finished_study.dataset / "store.zarr", mode="r", use_consolidated=consolidated
            )
            assert group["reflectance"].shape == (10, 202, 128, 128)
            assert group["reflectance"].shards == (2, 202, 128, 128)
            assert group["reflectance"].chunks == (1, 202, 128, 128)


def test_index_finds_locations(finished_study):
    locations = LOCATIONS.read(finished_study.dataset)
    for row, geometry in enumerate(locations.geometry):
        x, y = geometry.centroid.coords[0]
        assert query_index(finished_study.dataset, (x, y, x, y)).tolist() == [row]


def test_a_plan_without_patches(planned_study, tmp_path):
    study = planned_study.copy(tmp_path)
    for table in (PATCHES, LOCATIONS):
        table.write(table.read(study.dataset).iloc[:0], study.dataset)
    done = publish(study.dataset)
    assert (done.changed, done.written) == (True, 0)
    assert zarr.open_group(study.dataset / "store.zarr", mode="r")["reflectance"].shape == (0, 202, 128, 128)
    assert xr.open_zarr(study.dataset / "store.zarr", chunks=None).sizes["row"] == 0
    assert not publish(study.dataset).changed


def test_two_places_give_the_same_bytes(finished_study, unpublished, tmp_path):
    elsewhere = tmp_path / "deeper" / "place"
    shutil.copytree(unpublished.dataset, elsewhere)
    publish(elsewhere)
    assert tree(elsewhere) == tree(finished_study.dataset)
