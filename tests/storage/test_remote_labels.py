"""Labels of a dataset on an object store are those of a folder."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import connect
from spectralearth_build.config import RunConfig
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.labels.pair import pair
from spectralearth_build.labels.read import open_labels
from spectralearth_build.layout import label_record, label_shard
from spectralearth_build.places import at_work
from spectralearth_build.storage.client import Client
from spectralearth_build.tables import LOCATIONS
from tests.support.cloud_archive import tree


@pytest.fixture(scope="module")
def made(local_set, tmp_path_factory):
    """What is asked for: a raster of codes under all of the dataset."""
    path = tmp_path_factory.mktemp("ground") / "corine.tif"
    west, south, east, north = LOCATIONS.read(local_set).total_bounds
    codes = np.random.default_rng(1).integers(1, 45, (400, 400)).astype(np.uint8)
    place = Affine((east - west) / 390, 0, west - 0.01, 0, (south - north) / 390, north + 0.01)
    shape = {"width": 400, "height": 400, "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "nodata": 48}
    with rasterio.open(path, "w", "GTiff", transform=place, **shape) as file:
        file.write(codes, 1)
    return Request("corine", (Given(str(path), 2018),), "corine44")


@pytest.fixture(scope="module")
def expected(local_set, made, tmp_path_factory):
    """The same in a folder."""
    dataset = shutil.copytree(local_set, tmp_path_factory.mktemp("labelled") / "set")
    with connect(RunConfig(scheduler="inline")) as executor:
        pair(dataset, [made], executor)
    return dataset


def run(remote, staging, made, function=pair):
    with at_work(remote, staging) as folder, connect(RunConfig(scheduler="inline")) as executor:
        return function(folder, [made], executor)


@pytest.mark.slow
def test_the_tree_is_the_same_and_is_mended_there(finished, made, expected, tmp_path):
    staging = str(tmp_path / "staging")
    run(finished, staging, made)
    assert tree(finished) == tree(expected)
    assert run(finished, staging, made).shards == {"corine": 0}
    client = Client(finished)
    client.put(label_shard("corine", 0), b"x" * len(client.read(label_shard("corine", 0))))
    client.delete(label_record("corine", 1))
    with at_work(finished, staging, write=False) as folder:
        assert {damage.path for damage in verify(folder)} >= {
            label_shard("corine", 0),
            label_record("corine", 1),
        }
    assert run(finished, staging, made).shards == {"corine": 2}
    assert tree(finished) == tree(expected)


@pytest.mark.slow
def test_they_are_read_where_they_are(finished, made, expected, tmp_path):
    run(finished, str(tmp_path / "staging"), made)
    here, there = open_labels(expected, "corine"), open_labels(str(finished), "corine")
    rows = here.table["store_row"]
    assert len(rows) > 3
    assert there.table.drop(columns="classes").equals(here.table.drop(columns="classes"))
    assert np.array_equal(there.maps(rows), here.maps(rows))
    assert np.array_equal(there.multi_hot(rows), here.multi_hot(rows))
