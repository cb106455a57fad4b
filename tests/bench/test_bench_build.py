"""`bench build`: all ways write the same patches, and the table follows from what was measured."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from spectralearth_build.bench.cutting import build as bench
from spectralearth_build.bench.cutting import script
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import UsageError


@pytest.mark.slow
def test_the_script_writes_the_patches_of_the_dataset(tmp_path):
    archive = bench.synthetic(tmp_path / "archive", tiles=1, edge=300, seed=0)
    bench._build(archive, tmp_path / "d", "at-cut", 1)
    dataset, tiles = open_dataset(tmp_path / "d"), list(bench._tiles(archive, tmp_path / "d"))
    written = script.run({t.image: t.corners for t in tiles}, tiles[0].bands, tmp_path / "z", shard_rows=3)
    stored = {
        dataset.patch(patch.location_id, patch.datatake).to_numpy().tobytes()
        for patch in dataset.patches.itertuples()
    }
    array = zarr.open_array(tmp_path / "z", mode="r")
    rows = [np.asarray(array[row]) for row in range(array.shape[0])]
    assert {row.tobytes() for row in rows if (row != -32768).any()} == stored
    assert written == len(stored) > 0


@pytest.mark.slow
def test_every_way_is_measured_and_compared_with_decoding_and_encoding(tmp_path):
    archive = bench.synthetic(tmp_path / "archive", tiles=2, edge=300, seed=0)
    measured = bench.measure(archive, (1,), rounds=1)
    builds = [f"{what}, {validity}" for validity in bench.VALIDITIES for what in bench.BUILDS]
    assert measured["what"].tolist() == ["decode", "encode", "script", *builds]
    assert (measured["cpu_seconds"] > 0).all()
    assert (measured["fixed_seconds"] >= 0).all()
    assert (measured["fixed_seconds"][:3] == 0).all()
    assert (measured["tiles"] == 2).all()
    assert (measured["patches"] == measured["patches"][0]).all()


def test_products_in_archives_are_unpacked_or_refused(tmp_path):
    archive = bench.synthetic(
        tmp_path / "archive", tiles=4, edge=64, seed=0
    )  # of which one was written as a zip
    assert not list(archive.rglob("*.zip"))
    products = [image.parent for image in archive.rglob("*SPECTRAL_IMAGE.TIF")]
    assert len(products) >= 4
    packed = shutil.make_archive(str(products[0]), "zip", products[0].parent, products[0].name)
    shutil.rmtree(products[0])
    with pytest.raises(UsageError, match="Unpack"):
        bench._image(Path(packed))


def test_what_does_not_depend_on_the_tiles_is_told_apart():
    cost = {"seconds": 9.0, "cpu_seconds": 0.0}
    best = {
        ("decode", 1, 3): cost | {"cpu_seconds": 3.0},
        ("encode", 1, 3): cost | {"cpu_seconds": 3.0},
        ("script", 1, 3): cost | {"cpu_seconds": 12.0},
        ("build, at-cut", 1, 1): cost | {"cpu_seconds": 4.5},
        ("build, at-cut", 1, 3): cost | {"cpu_seconds": 9.5},
    }
    measured = pd.DataFrame(bench._rows(best, tiles=3, patches=12))
    assert measured["fixed_seconds"].tolist() == [0, 0, 0, 2]  # 2 + 2.5 a tile
    (text,) = bench.lines(measured)
    line = next(line for line in text.splitlines() if "build, at-cut" in line)
    hours = [(2 + 2.5 * count) / 3600 for count in bench.ARCHIVES]
    found = [float(cell.replace(",", "")) for cell in line.split()[2:]]
    assert found == pytest.approx([1, 9, 9.5, 2, 2.5, 0.5, 625, 1.25, 1.6, *hours], rel=0.01)


def test_of_one_tile_nothing_is_known_about_fixed_costs():
    best = {("build, at-cut", 1, 1): {"seconds": 1.0, "cpu_seconds": 2.0}}
    (row,) = bench._rows(best, tiles=1, patches=4)
    assert np.isnan(row["fixed_seconds"])
