"""P1, P2: the dataset is a function of the products: not of their order, their times, their packing or the workers."""

from __future__ import annotations

import os
import shutil

import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import connect
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.tables import PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import CONFIG, archive_of, run_stages, spec_of

NUMBERS = (1, 2, 3, 4)
WITH_PATHS = ("tiles.parquet", "manifest.json")
"""Files that say where a product lies."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("same") / "archive", *NUMBERS)


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory):
    return run_stages(archive, tmp_path_factory.mktemp("once") / "d")


def test_each_planned_patch_is_there_once(archive, expected):
    patches = PATCHES.read(expected)
    assert patches["patch_id"].is_unique
    assert set(patches["status"]) == {"written"}
    assert set(patches["tile_id"]) == {spec_of(number).tile_id for number in NUMBERS}
    assert verify(expected, archive) == []


def test_other_order_and_other_times(archive, expected, tmp_path):
    for product in sorted(archive.iterdir(), reverse=True):
        copy = shutil.copytree(product, tmp_path / "archive" / product.name, copy_function=shutil.copyfile)
        for path in copy.iterdir():
            os.utime(path, (1, 1))
    run_stages(tmp_path / "archive", tmp_path / "d")
    assert tree(tmp_path / "d") == tree(expected)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers(archive, expected, tmp_path, workers):
    settings = {"scheduler": "", "workers": workers, "dashboard": ""}
    with connect(CONFIG.run.model_copy(update=settings)) as executor:
        run_stages(archive, tmp_path / "d", executor)
    assert tree(tmp_path / "d") == tree(expected)


@pytest.mark.parametrize("packing", ["zip", "tar.gz"])
def test_any_packing(archive, expected, tmp_path, packing):
    own = shutil.copytree(archive, tmp_path / "archive")
    zips = [pack(product) for product in sorted(own.iterdir())]
    if packing == "tar.gz":
        pack_order(zips, own / "order.tar.gz")
    run_stages(own, tmp_path / "d")
    found, once = tree(tmp_path / "d"), tree(expected)
    assert found.keys() == once.keys()
    assert [name for name in found if found[name] != once[name]] == sorted(WITH_PATHS, reverse=False)
    tables = (TILES.read(folder).drop(columns="path") for folder in (tmp_path / "d", expected))
    a, b = tables
    assert a.equals(b)
