import os
import random

import numpy as np
import pandas as pd
import pytest
import rasterio
import tifffile

from spectralearth_build.errors import UsageError
from spectralearth_build.export.driver import export
from spectralearth_build.export.format import Options


class FolderReader:
    """What SpectralEarth's pretraining asks of its folders: root / sensor / location / *.tif, two at random."""

    def __init__(self, root, sensor="enmap"):
        self.places = {}
        for place in os.listdir(root / sensor):  # noqa: PTH208
            files = [path for path in (root / sensor / place).iterdir() if path.name.endswith(".tif")]
            if files:
                self.places[place] = files

    def __getitem__(self, index):
        files = list(self.places.values())[index]
        chosen = random.sample(files, 2) if len(files) > 1 else files * 2
        return [(path, rasterio.open(path).read()) for path in chosen]


@pytest.mark.slow
def test_a_reader_of_spectralearths_folders_finds_pairs_of_every_location(exported, truth):
    folder = exported("geotiff")
    table = pd.read_parquet(folder / "patches.parquet").set_index("file")
    reader = FolderReader(folder)
    assert set(reader.places) == set(table["location_id"])
    for index, (place, files) in enumerate(reader.places.items()):
        pair = reader[index]
        assert len({path for path, _ in pair}) == min(2, len(files))
        for path, cube in pair:
            row = table.loc[path.relative_to(folder).as_posix()]
            assert row["location_id"] == place
            assert cube.dtype == np.int16
            assert np.array_equal(cube, truth[row["patch_id"]])


def test_every_file_is_the_patch_in_its_place(exported, truth, source):
    folder = exported("geotiff")
    table = pd.read_parquet(folder / "patches.parquet")
    waves = pd.read_parquet(source / "tiles.parquet").set_index("tile_id")["wavelength_nm"]
    assert len(list(folder.rglob("*.tif"))) == len(table) == len(truth)
    for row in table.itertuples():
        assert np.array_equal(tifffile.imread(folder / row.file), truth[row.patch_id])
        with rasterio.open(folder / row.file) as image:
            assert image.crs.to_epsg() == row.epsg
            assert image.transform.to_gdal() == (row.west, 30, 0, row.north, 0, -30)
            assert image.nodatavals == (-32768,) * 202
            assert image.scales == (1e-4,) * 202
            assert image.tags()["patch_id"] == row.patch_id
            nm = [float(text.removesuffix(" nm")) for text in image.descriptions]
            assert np.allclose(nm, waves[row.tile_id], atol=0.006)
            assert float(image.tags(202, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) == pytest.approx(
                nm[-1] / 1e3
            )


def test_the_list_of_a_split_has_location_and_file_a_line(exported):
    folder = exported("geotiff")
    lines = (folder / "splits" / "train.txt").read_text().splitlines()
    assert sorted(lines) == sorted(p.relative_to(folder / "enmap").as_posix() for p in folder.rglob("*.tif"))


@pytest.mark.parametrize("compress", ["zstd", "lzw", "none"])
def test_other_compressions_hold_the_same(source, truth, tmp_path, compress):
    options = Options(bands="500-520", compress=compress)
    export(source, tmp_path / "t", "geotiff", options=options)
    table = pd.read_parquet(tmp_path / "t" / "patches.parquet")
    nominal = np.concatenate(
        [np.linspace(420, 1335, 126), np.linspace(1460, 1775, 26), np.linspace(1960, 2440, 50)]
    )
    inside = (nominal >= 500) & (nominal <= 520)
    for row in table.itertuples():
        with rasterio.open(tmp_path / "t" / row.file) as image:
            assert (image.compression.value.lower() if image.compression else "none") == compress
            assert np.array_equal(image.read(), truth[row.patch_id][inside])


def test_an_unknown_compression_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match="jpeg"):
        export(source, tmp_path / "t", "geotiff", options=Options(compress="jpeg"))
