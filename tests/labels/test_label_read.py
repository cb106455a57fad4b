"""Labels as users read them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import spectralearth_build
from spectralearth_build import open_dataset
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import UsageError
from spectralearth_build.labels import class_counts as summary
from spectralearth_build.labels.classes import IGNORE, nomenclature
from spectralearth_build.labels.pair import pair
from spectralearth_build.tables import LABELS
from tests.support.pairing_site import CORINE, NODATA, request, truth, write_raster

open_labels = spectralearth_build.open_labels


@pytest.fixture(scope="module")
def labelled(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("read")
    dataset = shutil.copytree(site / "d", folder / "d")
    values = np.random.default_rng(0).random(400, dtype=np.float32)
    trees = write_raster(folder / "trees.tif", 32633, 30, values, seed=1, hole=0.4)
    half = write_raster(folder / "half.tif", 3035, 100, CORINE, seed=2, hole=0.4)
    whole = request("corine", site / "corine.tif")
    less = request("half", half, least_labelled=0.75)
    pair(
        dataset, [whole, less, request("trees", trees, nomenclature="", least_labelled=0.1)], InlineExecutor()
    )
    return dataset


def test_maps_are_class_indices(labelled, site):
    corine = open_labels(labelled, "corine")
    assert (corine.name, corine.kind, len(corine.classes)) == ("corine", "categorical", 44)
    assert corine.classes == nomenclature("corine44").classes
    expected = truth(site / "corine.tif", labelled)
    rows = list(expected)[::-1] + list(expected)[:1]  # in any order, one twice
    maps = corine.maps(rows)
    assert maps.dtype == np.uint8
    wanted = np.stack([expected[row] for row in rows])
    assert np.array_equal(maps, np.where(wanted == NODATA, IGNORE, wanted - 1))
    assert list(corine.table.columns) == [column.name for column in LABELS.columns]
    assert corine.table["store_row"].tolist() == sorted(expected)


def test_classes_of_whole_patches(labelled):
    corine = open_labels(open_dataset(labelled), "corine")
    rows = corine.table["store_row"].to_numpy()[[2, 0]]
    maps = corine.maps(rows)
    hot = corine.multi_hot(rows)
    assert hot.shape == (2, 44)
    assert np.array_equal(hot, summary.multi_hot(maps, 44, 0.02))
    assert corine.majority(rows).tolist() == [summary.majority(each, 44) for each in maps]


def test_other_classes_gather_the_same_codes(labelled):
    as_made, other = open_labels(labelled, "corine"), open_labels(labelled, "corine", "corine19")
    rows = other.table["store_row"].to_numpy()
    codes = as_made.maps(rows).astype(int) + 1
    expected = nomenclature("corine19").indices(np.where(codes == IGNORE + 1, 0, codes))
    assert np.array_equal(other.maps(rows), expected)
    assert np.array_equal(other.multi_hot(rows), summary.multi_hot(expected, 19, 0.02))
    assert other.majority(rows).tolist() == summary.majority(expected, 19).tolist()
    assert np.array_equal(other.table["labelled_fraction"], summary.labelled_fraction(expected))
    assert other.table["labelled_fraction"].max() < 1 == as_made.table["labelled_fraction"].max()
    assert (
        open_labels(labelled, "corine", nomenclature="corine44")
        .table.drop(columns="classes")
        .equals(as_made.table.drop(columns="classes"))
    )


def test_quantities_are_read_as_they_are(labelled):
    trees = open_labels(labelled, "trees")
    assert (trees.kind, trees.classes) == ("continuous", ())
    maps = trees.maps(trees.table["store_row"])
    assert maps.dtype == np.float32
    assert np.isfinite(maps).mean(axis=(1, 2)).tolist() == trees.table["labelled_fraction"].tolist()
    for ask in (trees.multi_hot, trees.majority):
        with pytest.raises(UsageError, match="trees has no classes"):
            ask([0])
    with pytest.raises(UsageError, match="trees has no classes"):
        open_labels(labelled, "trees", "nlcd")


def test_patches_that_were_left_out(labelled):
    half = open_labels(labelled, "half")
    every = open_labels(labelled, "corine").table["store_row"]
    left = sorted(set(every) - set(half.table["store_row"]))
    assert left
    assert (half.maps(left) == IGNORE).all()
    with pytest.raises(UsageError, match=f"Row {left[0]} has no map of half"):
        half.multi_hot(left)


def test_names_that_do_not_exist(labelled, site):
    with pytest.raises(UsageError, match=r"There is no label 'nlcd'.*There are: corine, half, trees"):
        open_labels(labelled, "nlcd")
    with pytest.raises(UsageError, match="Make labels with `pair`"):
        open_labels(site / "d", "corine")
    with pytest.raises(UsageError, match="There is no nomenclature"):
        open_labels(labelled, "corine", "corine45")
