"""Labels of a small dataset, against the pixels of the rasters looked up one by one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from affine import Affine

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.task import Failure
from spectralearth_build.config import RunConfig
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.labels import pair_task as patch_module
from spectralearth_build.labels.pair import drop, pair
from spectralearth_build.layout import ROOT, label_shard
from spectralearth_build.store.planned import load_plan
from spectralearth_build.tables import LABELS, PATCHES
from tests.support.files import tree
from tests.support.pairing_site import CONFIG, CORINE, NODATA, REPLACING, SITE, request, truth, write_raster
from tests.support.small_archive import run_stages, write_tile


def maps_of(dataset, label):
    """The array as zarr-python reads it."""
    return zarr.open_group(dataset / "store.zarr", mode="r")[f"label_{label}"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsg", "pixel", "dtype"),
    [(3035, 100, "uint8"), (5070, 30, "int16"), (4326, 60, "int32"), (32632, 25, "uint16")],
)
def test_maps_are_what_lies_under_the_pixels(bare, tmp_path, epsg, pixel, dtype):
    raster = write_raster(tmp_path / "r.tif", epsg, pixel, CORINE.astype(dtype), seed=3)
    made = request("corine", raster, rule="nearest", least_labelled=0)
    table = pair(bare, [made], InlineExecutor()).table
    expected = truth(raster, bare)
    assert set(table["store_row"]) == set(expected)
    assert len(expected) == 5
    array = maps_of(bare, "corine")
    assert array.dtype == np.dtype(dtype)
    for row, values in expected.items():
        assert np.array_equal(array[row], values), row
    assert verify(bare) == []


def test_the_table_says_what_the_maps_hold(bare, corine):
    table = pair(bare, [request("corine", corine, threshold=0.03)], InlineExecutor()).table
    patches = PATCHES.read(bare).set_index("store_row")
    assert (table["status"] == "written").all()
    for row in table.itertuples():
        codes, counts = np.unique(maps_of(bare, "corine")[row.store_row], return_counts=True)
        known = codes != NODATA
        codes, counts = codes[known], counts[known]
        assert row.labelled_fraction == counts.sum() / 128**2
        assert row.classes.tolist() == [
            c - 1 for c, n in zip(codes, counts, strict=True) if n / counts.sum() >= 0.03
        ]
        assert row.majority == codes[counts.argmax()] - 1
        assert (row.label, row.year, row.source, row.reason) == ("corine", 0, "corine.tif", "")
        assert patches.loc[row.store_row, "patch_id"] == row.patch_id


@pytest.mark.slow
def test_xarray_and_zarr_read_them_with_standard_codecs(bare, corine):
    pair(bare, [request("corine", corine)], InlineExecutor())
    store = xr.open_zarr(bare / "store.zarr", chunks=None)
    label = store["label_corine"]
    assert label.dims == ("row", "y", "x")
    assert label.sizes["row"] == store["reflectance"].sizes["row"]
    expected = truth(corine, bare)
    assert np.array_equal(label.isel(row=list(expected)).load(), np.stack(list(expected.values())))
    assert label.attrs["flag_meanings"].split()[:2] == [
        "continuous_urban_fabric",
        "discontinuous_urban_fabric",
    ]
    names = [codec.to_dict()["name"] for codec in maps_of(bare, "corine").metadata.codecs[0].codecs]
    assert names == ["bytes", "zstd", "crc32c"]
    assert maps_of(bare, "corine").shards == (2, 128, 128)
    empty = set(range(label.sizes["row"])) - set(expected)
    assert empty
    assert (label.isel(row=sorted(empty)) == NODATA).all()


@pytest.mark.slow
def test_the_year_follows_the_rule_and_is_recorded(bare, tmp_path):
    years = {y: write_raster(tmp_path / f"cdl_{y}.tif", 5070, 30, CORINE, seed=y) for y in (2022, 2025)}
    given = [(path, year) for year, path in years.items()]
    expected = {year: truth(path, bare) for year, path in years.items()}
    acquired = PATCHES.read(bare).set_index("store_row")["acquired"].dt.year
    assert set(acquired) == {2024, 2025, 2026}
    for rule, of in (
        ("nearest", {2024: 2025, 2025: 2025, 2026: 2025}),
        ("before", {2024: 2022, 2025: 2025, 2026: 2025}),
        ("same", {2025: 2025}),
    ):
        made = request(f"by_{rule}", *given, year_rule=rule, rule="nearest")
        table = (
            pair(bare, [made], InlineExecutor()).table.query("label == @made.label").set_index("store_row")
        )
        written = table[table["status"] == "written"]
        assert written["year"].to_dict() == {r: of[y] for r, y in acquired.items() if y in of}
        assert (written["source"] == "cdl_" + written["year"].astype(str) + ".tif").all()
        for row, year in written["year"].items():
            assert np.array_equal(maps_of(bare, made.label)[row], expected[year][row])
        left = table[table["status"] == "skipped"]
        assert {f"no raster of {acquired[row]} reaches it" for row in left.index} == set(left["reason"])


def test_patches_with_too_little_are_left_out_with_a_reason(bare, tmp_path):
    raster = write_raster(tmp_path / "r.tif", 32633, 30, CORINE, seed=4, hole=0.4)
    table = pair(bare, [request("corine", raster, least_labelled=0.75)], InlineExecutor()).table.set_index(
        "store_row"
    )
    fractions = {row: float((values != NODATA).mean()) for row, values in truth(raster, bare).items()}
    assert table["labelled_fraction"].to_dict() == fractions
    left = table[table["status"] == "skipped"]
    assert 0 < len(left) < len(table)
    assert set(left.index) == {row for row, fraction in fractions.items() if fraction < 0.75}
    partly = left[left["labelled_fraction"] > 0]
    assert partly["reason"].str.endswith("of it is labelled, 75.00% is wanted").all()
    assert all((maps_of(bare, "corine")[row] == NODATA).all() for row in left.index)
    assert verify(bare) == []


def test_where_no_raster_reaches(bare, tmp_path):
    raster = write_raster(tmp_path / "r.tif", 32633, 30, CORINE, seed=4)
    with rasterio.open(raster, "r+") as file:
        file.crs = "EPSG:32635"
    table = pair(bare, [request("corine", raster)], InlineExecutor()).table
    assert set(table["reason"]) == {"no raster reaches it"}
    assert verify(bare) == []


@pytest.mark.slow
def test_quantities(bare, tmp_path):
    """On 15 m pixels along the patches' own grid each pixel is the mean of four."""
    values = np.random.default_rng(0).random((1200, 1200), np.float32)
    values[:, :600][np.random.default_rng(1).random((1200, 600)) < 0.3] = np.nan
    place = Affine(15, 0, 463005, 0, -15, 5496015)
    shape = {"width": 1200, "height": 1200, "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "trees.tif", "w", "GTiff", transform=place, nodata=np.nan, **shape) as file:
        file.write(values, 1)
    table = pair(bare, [request("trees", tmp_path / "trees.tif", nomenclature="")], InlineExecutor()).table
    array = maps_of(bare, "trees")
    assert array.dtype == np.float32
    assert np.isnan(array.fill_value)
    blocks = values.astype(np.float64).reshape(600, 2, 600, 2)
    known = np.isfinite(blocks).sum(axis=(1, 3))
    means = np.where(known >= 2, np.nansum(blocks, axis=(1, 3)) / np.maximum(known, 1), np.nan)
    planned = load_plan(bare)
    windows = planned.locations.set_index("location_id")
    for row in planned.patches.itertuples():
        at = windows.loc[row.location_id]
        line, col = (5496015 - 15) // 30 - at["lattice_row"], at["lattice_col"] - (463005 - 15) // 30
        expected = means[line : line + 128, col : col + 128].astype(np.float32)
        np.testing.assert_allclose(array[row.store_row], expected, rtol=1e-6)
        found = table.set_index("store_row").loc[row.store_row]
        assert found["labelled_fraction"] == np.isfinite(expected).mean()
    assert (table["majority"] == -1).all()
    assert not any(len(each) for each in table["classes"])
    assert verify(bare) == []


def test_tiles_of_a_mosaic_complete_each_other(bare, tmp_path):
    whole = write_raster(tmp_path / "whole.tif", 32633, 40, CORINE, seed=6)
    with rasterio.open(whole) as file:
        values, profile = file.read(1), file.profile
    middle = values.shape[1] // 2
    for name, part in (("a", np.s_[:, :middle]), ("b", np.s_[:, middle:])):
        cut = np.full_like(values, NODATA)
        cut[part] = values[part]
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
            file.write(cut, 1)
    pair(bare, [request("corine", tmp_path / "b.tif", tmp_path / "a.tif", rule="nearest")], InlineExecutor())
    for row, expected in truth(whole, bare).items():
        assert np.array_equal(maps_of(bare, "corine")[row], expected)
    assert set(LABELS.read(bare)["source"]) == {"a.tif b.tif"}


def test_tasks_open_only_the_tiles_that_may_reach_them(site, bare, tmp_path, monkeypatch):
    """A mosaic of 3 x 3 tiles, of which most lie elsewhere, gives what the same raster in one piece gives."""
    whole = write_raster(tmp_path / "whole.tif", 32633, 40, CORINE, seed=6)
    with rasterio.open(whole) as file:
        values, profile, place = file.read(1), file.profile, file.transform
    edge, far = values.shape[0] // 2, 40_000
    tiles = []
    for line, col in np.ndindex(3, 3):
        part = values[line * edge : (line + 1) * edge, col * edge : (col + 1) * edge]
        part = np.full((edge, edge), 7, np.uint8) if part.shape != (edge, edge) else part
        x = place.c + (40 * edge * col if col < 2 else far * 10)
        y = place.f - (40 * edge * line if line < 2 else far * 10)
        tiles.append(tmp_path / f"t{line}{col}.tif")
        shape = {**profile, "height": edge, "width": edge, "transform": Affine(40, 0, x, 0, -40, y)}
        with rasterio.open(tiles[-1], "w", **shape) as file:
            file.write(part, 1)
    opened = []
    real = patch_module.open_label_raster
    monkeypatch.setattr(
        patch_module, "open_label_raster", lambda path, kind: opened.append(path) or real(path, kind)
    )
    pair(bare, [request("corine", *tiles, rule="nearest")], InlineExecutor())
    assert {Path(path).name for path in opened} == {"t00.tif", "t01.tif", "t10.tif", "t11.tif"}
    for row, expected in truth(whole, bare).items():
        assert np.array_equal(maps_of(bare, "corine")[row], expected)


def test_a_second_run_changes_nothing(bare, corine, tmp_path):
    pair(bare, [request("corine", corine)], InlineExecutor())
    before, times = tree(bare), {p: p.stat().st_mtime_ns for p in bare.rglob("*") if p.is_file()}
    elsewhere = shutil.copy(corine, tmp_path / "corine.tif")
    assert pair(bare, [request("corine", elsewhere)], InlineExecutor()).shards == {"corine": 0}
    assert tree(bare) == before
    assert {p: p.stat().st_mtime_ns for p in bare.rglob("*") if p.is_file()} == times
    assert not [name for name in before if str(tmp_path).encode() in (bare / name).read_bytes()]


@pytest.mark.slow
def test_one_worker_or_two_give_the_same_bytes(site, bare, corine, tmp_path):
    other = shutil.copytree(site / "d", tmp_path / "other")
    pair(bare, [request("corine", corine)], InlineExecutor())
    with connect(RunConfig(workers=2)) as executor:
        pair(other, [request("corine", corine)], executor)
    assert tree(other) == tree(bare)


@pytest.mark.slow
def test_several_labels_and_one_taken_out(bare, corine, tmp_path):
    nlcd = write_raster(tmp_path / "nlcd.tif", 5070, 30, np.array([11, 41, 82], np.uint8), seed=7)
    pair(bare, [request("corine", corine)], InlineExecutor())
    alone = tree(bare)
    pair(bare, [request("nlcd", nlcd, nomenclature="nlcd")], InlineExecutor())
    assert set(LABELS.read(bare)["label"]) == {"corine", "nlcd"}
    assert verify(bare) == []
    drop(bare, "nlcd")
    assert tree(bare) == alone
    drop(bare, "corine")
    assert verify(bare) == []
    assert not [name for name in tree(bare) if "label" in name]
    with pytest.raises(UsageError, match="There is no label 'corine'; there are: none"):
        drop(bare, "corine")


def test_a_dropped_label_is_a_label_and_no_path(bare, corine):
    pair(bare, [request("corine", corine)], InlineExecutor())
    before = tree(bare)
    with pytest.raises(UsageError, match="There is no label"):
        drop(bare, "../plan")
    assert tree(bare) == before


@pytest.mark.slow
def test_dropping_goes_on_after_a_stop(bare, corine):
    before = tree(bare)
    pair(bare, [request("corine", corine)], InlineExecutor())
    for name in ("store.zarr/zarr.json", "labels/corine.json"):  # so far it came
        (bare / name).unlink()
    drop(bare, "corine")
    assert verify(bare) == []
    assert tree(bare) == before


@pytest.mark.slow
def test_other_rasters_or_options_are_refused_with_the_difference(bare, corine, tmp_path):
    pair(bare, [request("corine", corine)], InlineExecutor())
    before = tree(bare)
    (tmp_path / "new").mkdir()
    changed = write_raster(tmp_path / "new" / "corine.tif", 3035, 100, CORINE, seed=2)
    for made, what in (
        (request("corine", corine, threshold=0.1), "threshold: was 0.02, is 0.1"),
        (request("corine", corine, nomenclature="corine19"), 'nomenclature: was "corine44", is "corine19"'),
        (request("corine", changed), "sources.0.sha256: was"),
    ):
        with pytest.raises(UsageError, match=what):
            pair(bare, [made], InlineExecutor())
        assert tree(bare) == before
    pair(bare, [request("corine", changed)], InlineExecutor(), anew=True)
    assert np.array_equal(maps_of(bare, "corine")[0], truth(changed, bare)[0])
    assert verify(bare) == []
    pair(bare, [request("corine", corine)], InlineExecutor(), anew=True)
    assert tree(bare) == before


@pytest.mark.slow
def test_a_dataset_that_grows_keeps_its_labels_and_gets_the_rest(site, corine, tmp_path):
    archive = shutil.copytree(site / "archive", tmp_path / "archive")
    dataset = shutil.copytree(site / "d", tmp_path / "d")
    pair(dataset, [request("corine", corine)], InlineExecutor())
    old = {
        name: digest for name, digest in tree(dataset).items() if "label_" in name and "zarr.json" not in name
    }
    write_tile(archive, 7)
    run_stages(archive, dataset, config=CONFIG)
    assert verify(dataset) == []
    grown = tree(dataset)
    assert {name: grown[name] for name in old} == old
    before = LABELS.read(dataset)
    assert len(before) == 5
    done = pair(dataset, [request("corine", corine)], InlineExecutor())
    assert done.shards == {"corine": 1}
    assert len(done.table) == 6
    for row, expected in truth(corine, dataset).items():
        assert np.array_equal(maps_of(dataset, "corine")[row], expected)
    assert verify(dataset) == []
    assert {name: tree(dataset)[name] for name in old} == old


@pytest.mark.slow
def test_a_patch_that_a_newer_version_replaces_is_labelled_again(tmp_path, corine):
    for number in (1, 2):
        write_tile(tmp_path / "archive", number, wide=SITE, version="V010402")
    dataset = run_stages(tmp_path / "archive", tmp_path / "d", config=REPLACING)
    pair(dataset, [request("corine", corine)], InlineExecutor())
    write_tile(tmp_path / "archive", 2, version="V010502")
    run_stages(tmp_path / "archive", dataset, config=REPLACING)
    patches = PATCHES.read(dataset)
    (retired,) = patches.loc[patches["status"] == "retired", "store_row"]
    assert verify(dataset) == []
    assert retired not in set(LABELS.read(dataset)["store_row"])
    done = pair(dataset, [request("corine", corine)], InlineExecutor())
    assert done.shards == {"corine": 1}
    assert set(done.table["store_row"]) == set(patches.loc[patches["status"] == "written", "store_row"])
    assert verify(dataset) == []
    before = tree(dataset)
    (dataset / label_shard("corine", retired // 2)).unlink()  # that of the retired patch comes back too
    assert pair(dataset, [request("corine", corine)], InlineExecutor()).shards == {"corine": 1}
    assert tree(dataset) == before


class Failing:
    """An executor of which a task fails."""

    workers, memory_limit, elsewhere = 1, None, False

    def run(self, stage, function, tasks):
        for number, (key, outcome) in enumerate(InlineExecutor().run(stage, function, tasks)):
            if stage == "pair" and number == 0:
                outcome = Failure(key, "OSError", "it broke")
            yield key, outcome


@pytest.mark.slow
def test_what_fails_is_said_and_the_rest_is_published(bare, corine):
    expected = verify(bare)
    with pytest.raises(
        DamagedError, match=r"1 group of patches could not be labelled; the first, DT.*: it broke"
    ):
        pair(bare, [request("corine", corine)], Failing())
    assert verify(bare) == expected == []
    assert (bare / ROOT).is_file()


def test_an_unfinished_dataset_is_refused(bare, corine):
    (bare / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"manifest\.json is missing"):
        pair(bare, [request("corine", corine)], InlineExecutor())
