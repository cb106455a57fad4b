"""One dataset holds one quantity: land or water, by choice, whatever is newer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from spectralearth_build.archive.bands import nominal
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import PlanChangedError
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout
from spectralearth_build.tables import PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import CONFIG, SIZE, WIDE, cube_of, run_stages, spec_of, write_tile

WATER = CONFIG.model_copy(update={"scan": CONFIG.scan.model_copy(update={"correction": "water"})})
OFFSET = 7000
"""Added to all values of water mode, here, so that one glance at a value says what it is."""
KEPT = np.abs(band_set("C").wavelength_nm[:, None] - nominal().wavelength_nm).argmin(axis=0)


def write(archive, number, correction, *, newer=False, layers=None):
    """A product like those of `small_archive`, of another quantity; returns its folder."""
    spec = replace(spec_of(number), correction=correction)
    if newer:
        spec = replace(spec, version="V010503", processed=spec.processed + timedelta(days=90))
    water = correction == "Water_Mode"
    layers = layers or Layers.clear((spec.box.height, spec.box.width), water=water)
    cube = cube_of(number) + np.where(layers.classes == 2, OFFSET, 0).astype(np.int16)
    return write_product(archive, spec, cube, layers, Layout(compress="none"))


def patches_of(dataset):
    """Of each written patch: datatake, correction, and whether all its pixels are those of the product, or water's."""
    opened, found = open_dataset(dataset), []
    for row in opened.query().itertuples():
        pixels = opened.patch(row.location_id, row.datatake)
        number = int(row.datatake[2:])
        place = opened.locations.set_index("location_id").loc[row.location_id]
        box = spec_of(number).box
        line, col = -place["lattice_row"] - box.line, place["lattice_col"] - box.col
        land = cube_of(number)[KEPT, line : line + 128, col : col + 128]
        difference = np.unique(pixels.to_numpy() - land)
        found.append((number, row.correction, difference.tolist()))
    return sorted(found)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Tiles 1 and 2 in both modes, water newer; 3 in water mode; 4 Combined, with a shore in its middle."""
    folder = tmp_path_factory.mktemp("quantities") / "archive"
    for number in (1, 2):
        write_tile(folder, number)
        write(folder, number, "Water_Mode", newer=True)
    write(folder, 3, "Water_Mode")
    return folder


def test_land_by_default(archive, tmp_path):
    run_stages(archive, tmp_path / "d")
    assert patches_of(tmp_path / "d") == [(1, "land", [0]), (1, "land", [0]), (2, "land", [0])]
    tiles = TILES.read(tmp_path / "d")
    assert tiles["error_class"].tolist().count("OtherCorrectionError") == 3
    document = json.loads((tmp_path / "d/store.zarr/reflectance/zarr.json").read_bytes())
    assert document["attributes"]["long_name"] == "surface reflectance"


def test_water_by_choice(archive, tmp_path):
    run_stages(archive, tmp_path / "d", config=WATER)
    found = patches_of(tmp_path / "d")
    assert {number for number, *_ in found} == {1, 2, 3}
    assert all(each[1:] == ("water", [OFFSET]) for each in found)
    document = json.loads((tmp_path / "d/store.zarr/reflectance/zarr.json").read_bytes())
    assert document["attributes"]["long_name"] == "normalised water-leaving reflectance"
    assert json.loads((tmp_path / "d/manifest.json").read_bytes())["settings"]["scan.correction"] == "water"


def test_a_dataset_stays_with_its_quantity(archive, tmp_path):
    run_stages(archive, tmp_path / "d")
    before = tree(tmp_path / "d")
    with pytest.raises(PlanChangedError, match=r'scan\.correction: was "land", is "water"'):
        run_stages(archive, tmp_path / "d", config=WATER)
    run_stages(archive, tmp_path / "d")
    assert tree(tmp_path / "d") == before


def test_a_combined_product_gives_each_dataset_its_side_of_the_shore(tmp_path):
    classes = np.ones((SIZE, WIDE), np.uint8)
    classes[:, WIDE // 2 :] = 2
    write(tmp_path / "archive", 1, "Combined", layers=replace(Layers.clear((SIZE, WIDE)), classes=classes))
    for config, offset in ((CONFIG, 0), (WATER, OFFSET)):
        run_stages(tmp_path / "archive", tmp_path / str(offset), config=config)
        assert patches_of(tmp_path / str(offset)) == [(1, "combined", [offset])]


def of_before(config):
    """The settings of the version before, which checked the pixels in scan."""
    return config.model_copy(update={"scan": config.scan.model_copy(update={"validity": "all-bands"})})


def aged(dataset):
    """The dataset as the version before wrote it: without the setting, without the columns that came later.

    It must be built with the settings of `of_before`.
    """
    path = dataset / "plan.json"
    record = json.loads(path.read_bytes())
    del record["inputs"]["settings"]["scan.correction"]
    path.write_text(json.dumps(record))
    for table in (TILES, PATCHES):
        later = [column.name for column in table.columns if column.later]
        pq.write_table(pq.read_table(dataset / table.file).drop_columns(later), dataset / table.file)
    shutil.rmtree(dataset / "work" / "scan")


def test_a_dataset_of_the_version_before_grows(tmp_path):
    write_tile(tmp_path / "archive", 1)
    write(tmp_path / "archive", 2, "")
    run_stages(tmp_path / "archive", tmp_path / "d", config=of_before(CONFIG))
    aged(tmp_path / "d")
    write_tile(tmp_path / "archive", 7)
    write(tmp_path / "archive", 5, "Water_Mode")
    run_stages(tmp_path / "archive", tmp_path / "d")
    assert [each[:2] for each in patches_of(tmp_path / "d")] == [
        (1, "land"),
        (1, "land"),
        (2, "land"),
        (7, "land"),
    ]
    patches = PATCHES.read(tmp_path / "d")
    assert patches.set_index("datatake")["correction_assumed"].to_dict() == {
        "DT0000000001": False,
        "DT0000000002": True,
        "DT0000000007": False,
    }


REPLACE = CONFIG.model_copy(update={"plan": CONFIG.plan.model_copy(update={"replace_versions": True})})


def test_water_that_the_version_before_took_for_land_is_named_and_replaced_on_request(tmp_path):
    archive, dataset = tmp_path / "archive", tmp_path / "d"
    write_tile(archive, 1)
    write(archive, 1, "Water_Mode", newer=True)
    run_stages(archive, dataset, config=of_before(WATER))
    aged(dataset)
    before = tree(dataset)
    with pytest.raises(PlanChangedError, match="patches of another quantity, from DT0000000001_001"):
        run_stages(archive, dataset)
    assert {k: v for k, v in tree(dataset).items() if k != "tiles.parquet"} == {
        k: v for k, v in before.items() if k != "tiles.parquet"
    }
    run_stages(archive, dataset, config=REPLACE)
    assert patches_of(dataset) == [(1, "land", [0]), (1, "land", [0])]
    assert PATCHES.read(dataset)["status"].tolist() == ["retired"] * 2 + ["written"] * 2
