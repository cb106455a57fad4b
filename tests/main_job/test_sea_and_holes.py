"""A coast of clipped sea, and the same coast with parts that were never written, from archive to patches."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import rasterio

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.pipeline import Run
from spectralearth_build.report.page import write_report
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec
from spectralearth_build.tables import TILES

BOX = Box(-183_000, 15_600, 130, 420)
SOUND, HOLED, SPARSE = "DT0000000001", "DT0000000002", "DT0000000003"
SEA = np.s_[:, 210:]


def coast(seed):
    """Land in the west; in the east sea, of which all but 67 bands are clipped at 0 [band, line, col]."""
    random = np.random.default_rng(seed)
    cube = random.integers(500, 3000, (224, BOX.height, BOX.width)).astype(np.int16)
    cube[:, *SEA] = random.integers(100, 400, cube[:, *SEA].shape)
    cube[67:, *SEA] = 0
    cube[129:135] = -32768
    layers = Layers.clear((BOX.height, BOX.width))
    layers.classes[SEA] = 2
    return cube, layers


@pytest.fixture(scope="module")
def truth():
    """The pixels that each product should have."""
    return {name: coast(seed)[0] for seed, name in enumerate((SOUND, HOLED, SPARSE))}


@pytest.fixture(scope="module")
def archive(truth, tmp_path_factory):
    """Three products: a sound one, one with a hole, one that lacks blocks."""
    archive = tmp_path_factory.mktemp("archive")
    for day, name in enumerate(truth):
        base = ProductSpec(box=BOX, datatake=name)
        spec = replace(base, started=base.started + timedelta(days=day))
        folder = write_product(archive, spec, *coast(day), Layout(compress="none", block=64))
        image = next(folder.glob("*SPECTRAL_IMAGE.TIF"))
        if name == HOLED:  # band 101 loses its blocks in the second column, bytes of the file
            data = bytearray(image.read_bytes())
            with rasterio.open(image) as raster:
                for line in range(3):
                    start, size = (
                        int(raster.get_tag_item(f"BLOCK_{what}_1_{line}", "TIFF", bidx=101))
                        for what in ("OFFSET", "SIZE")
                    )
                    data[start : start + size] = bytes(size)
            image.write_bytes(data)
        elif name == SPARSE:  # all bands lose the last column of blocks
            with rasterio.open(image) as raster:
                profile = raster.profile | {"sparse_ok": True}
            with rasterio.open(image, "w", **profile) as raster:
                raster.write(truth[name][:, :, :384], window=((0, 130), (0, 384)))
    return archive


@pytest.fixture(scope="module")
def dataset(build, archive, tmp_path_factory):
    chosen = {"plan.value": "pairs", "scan.validity": "all-bands"}
    return build(archive, tmp_path_factory.mktemp("dataset"), **chosen)


def test_a_hole_costs_its_windows_and_sea_costs_nothing(dataset):
    tiles = TILES.read(dataset.path).set_index("datatake")
    assert tiles["status"].tolist() == ["used"] * 3
    assert tiles.loc[SOUND, "hole_fraction"] == 0
    assert tiles.loc[HOLED, "hole_fraction"] == pytest.approx(64 / 420, rel=0.01)
    assert tiles.loc[SPARSE, "hole_fraction"] == pytest.approx(36 / 420)
    cols = {
        name: dataset.patches.loc[dataset.patches["datatake"] == name, "location_id"] for name in tiles.index
    }
    first = {
        name: sorted(int(place.split("_")[1]) - BOX.col for place in places) for name, places in cols.items()
    }
    assert len(first[SOUND]) == 3
    assert len(first[HOLED]) == 2
    assert min(first[HOLED]) > 128
    assert max(first[SPARSE]) <= 384 - 128


def test_every_patch_has_the_pixels_that_the_product_should_have(dataset, truth):
    band_index = TILES.read(dataset.path)["band_index"][0]
    for patch in dataset.patches.itertuples():
        _, col, row = (int(part) for part in patch.location_id.split("_"))
        line, col = -row - BOX.line, col - BOX.col
        expected = truth[patch.datatake][band_index][:, line : line + 128, col : col + 128]
        assert np.array_equal(dataset.patch(patch.location_id, patch.datatake).to_numpy(), expected)


def test_scan_and_the_report_say_how_many_tiles_have_holes(dataset, archive, capsys):
    Run(dataset.path, Config(), InlineExecutor()).scan(archive)
    assert "tiles with holes, where no window is placed: 2;" in capsys.readouterr().out
    page = write_report(dataset.path).read_text(encoding="utf-8")
    assert "2 of the usable tiles have holes" in page
