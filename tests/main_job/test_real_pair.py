"""The whole job on real pixels: a 128x256 mosaic of one real product, dated twice, the second on a shifted grid."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from spectralearth_build.overlap.lattice import Box, box_of_raster
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, ProductSpec
from spectralearth_build.tables import TILES

PAIR = Path(__file__).parents[1] / "data" / "hyspecnet_pair"
SHIFT = 61
"""Columns by which the second date's grid lies further east."""


def mosaic(layer):
    """Both cuts of a layer side by side: [band, 128, 256]."""
    halves = []
    for path in sorted(PAIR.glob(f"*/*-{layer}.TIF")):
        with rasterio.open(path) as raster:
            halves.append(raster.read())
    assert len(halves) == 2
    return np.concatenate(halves, axis=2)


@pytest.fixture(scope="module")
def cube():
    """The image, read by another library than the one under test."""
    halves = [tifffile.imread(path) for path in sorted(PAIR.glob("*/*SPECTRAL_IMAGE.TIF"))]
    assert [half.shape for half in halves] == [(224, 128, 128)] * 2
    return np.concatenate(halves, axis=2)


@pytest.fixture(scope="module")
def place():
    """Zone and box of the mosaic."""
    with rasterio.open(sorted(PAIR.glob("*/*SPECTRAL_IMAGE.TIF"))[0]) as west:
        box = box_of_raster(west.transform.c, west.transform.f, west.res, west.shape)
        return west.crs.to_epsg(), Box(box.line, box.col, 128, 256)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, cube, place):
    folder = tmp_path_factory.mktemp("real")
    quality = {
        name: mosaic(f"QL_QUALITY_{layer}")[0]
        for name, layer in {
            "classes": "CLASSES", "cloud": "CLOUD", "shadow": "CLOUDSHADOW", "haze": "HAZE", "snow": "SNOW",
            "cirrus": "CIRRUS", "testflags": "TESTFLAGS",
        }.items()
    }  # fmt: skip
    layers = Layers(**quality, pixelmask=mosaic("QL_PIXELMASK"))
    epsg, box = place
    first = ProductSpec(
        "DT0000004950",
        started=datetime(2022, 11, 3, 16, 24, 38, tzinfo=UTC),
        epsg=epsg,
        box=box,
        band_set="A",
        version="V010110",
    )
    second = replace(
        first,
        datatake="DT0000005950",
        started=datetime(2023, 2, 3, 16, 24, 38, tzinfo=UTC),
        box=replace(box, col=box.col + SHIFT),
    )
    for spec in (first, second):
        write_product(folder, spec, cube, layers)
    return folder


@pytest.fixture(scope="module")
def dataset(build, archive, tmp_path_factory):
    return build(archive, tmp_path_factory.mktemp("dataset"), **{"plan.value": "pairs"})


KEPT = [band for band in range(224) if band + 1 not in {*range(127, 142), *range(161, 168)}]
SWAPPED = {81: 82, 82: 81, 99: 100, 100: 99}
"""In set A, where the detectors meet, bands 82/83 and 100/101 (1-based) come in the other order than in set C."""
CHOSEN = [SWAPPED.get(band, band) for band in KEPT]


def test_every_patch_is_its_source_pixels(dataset, cube, place):
    _, box = place
    assert len(dataset.patches) >= 3
    for patch in dataset.patches.itertuples():
        col = (
            int(patch.location_id.split("_")[1])
            - box.col
            - (SHIFT if patch.datatake == "DT0000005950" else 0)
        )
        found = dataset.patch(patch.location_id, patch.acquired)
        assert np.array_equal(found.to_numpy(), cube[CHOSEN][:, :, col : col + 128])


def test_bands_are_chosen_by_wavelength(dataset):
    tiles = TILES.read(dataset.path)
    assert tiles["band_index"].map(list).tolist() == [CHOSEN] * 2
    patch = dataset.patch(dataset.patches["location_id"][0], dataset.patches["acquired"][0])
    assert np.abs(patch["wavelength_nm"].to_numpy() - dataset.nominal_nm).max() < 0.4


def test_one_location_has_both_dates_and_the_same_light_shifted(dataset, cube):
    pairs = dataset.locations[dataset.locations["n"] == 2]
    assert len(pairs) == 1
    series = dataset.series(pairs["location_id"].iloc[0]).to_numpy()
    assert np.array_equal(series[1][:, :, SHIFT:], series[0][:, :, : 128 - SHIFT])


def test_spectra_are_those_of_the_file_band_by_band(dataset, archive):
    """GDAL reads the product itself: the kept band nearest to each stored wavelength, pixel by pixel."""
    product = next(archive.glob("*DT0000004950*"))
    patch = next(p for p in dataset.patches.itertuples() if p.datatake == "DT0000004950")
    stored = dataset.patch(patch.location_id, patch.acquired)
    tiles = TILES.read(dataset.path).set_index("datatake")
    index = tiles["band_index"]["DT0000004950"]
    with rasterio.open(next(product.glob("*SPECTRAL_IMAGE.TIF"))) as raster:
        row, col = raster.index(float(stored["x"][5]), float(stored["y"][9]))
        spectrum = raster.read()[:, row, col][index]
    assert np.array_equal(stored.to_numpy()[:, 9, 5], spectrum)
