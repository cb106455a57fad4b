"""Sea, snow and bright pixels as generations of the processor deliver them, by what was seen in real products."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from spectralearth_build.archive.bands import select_bands
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.archive import ArchiveOptions, make_product, plan_archive
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.processor import INTERPOLATED, SATURATED, Coast, processed
from spectralearth_build.synthetic.render import lonlat, render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import Layers, ProductSpec

SHAPE = (80, 60)
INSIDE = np.add.outer(np.arange(80), np.arange(60)) > 20
SPECS = {
    "A": ProductSpec(box=Box(-210703, 15569, *SHAPE), version="V010110", band_set="A"),
    "B": ProductSpec(box=Box(-210703, 15569, *SHAPE), version="V010302", band_set="B"),
    "C": ProductSpec(box=Box(-210703, 15569, *SHAPE), version="V010502", band_set="C"),
}


def coast(spec):
    """A coast in the middle of the tile, recorded and processed."""
    shore = float(lonlat(spec.box, spec.epsg)[1][SHAPE[0] // 2, SHAPE[1] // 2])
    cube, layers = render(Coast(7, shore), Sky((7, 3)), spec, INSIDE)
    return cube, layers, *processed(cube, layers, spec)


def kept_of(spec):
    bands = band_set(spec.band_set)
    return select_bands(bands.wavelength_nm, bands.fwhm_nm, list(bands.detector), 1.0).index


@pytest.mark.parametrize("name", SPECS)
def test_sea_is_clipped_from_v0103_on(name):
    spec = SPECS[name]
    _, _, cube, layers = coast(spec)
    sea = INSIDE & (np.arange(SHAPE[0]) >= 50)[:, None]
    assert (layers.classes[sea] == 2).all()
    kept = cube[kept_of(spec)][:, sea]
    if name == "A":
        assert 0.3 < (kept < 0).mean() < 0.6  # 46 % in real pixels of V010110
        assert ((kept == 0).mean(axis=1) < 0.26).all()
    else:
        assert kept.min() == 0
        assert ((kept == 0).mean(axis=1) >= 0.95).sum() == 135
        assert (kept.max(axis=0) > 0).all()


@pytest.mark.parametrize("name", SPECS)
def test_all_but_sea_is_as_recorded(name):
    spec = SPECS[name]
    before, layers, after, _ = coast(spec)
    assert ((before == -32768) == (after == -32768)).all()
    land = (layers.classes == 1) & (layers.snow == 0)
    lost = processed(before, layers, spec)[1].testflags & INTERPOLATED > 0
    recorded = before if name == "A" else np.where(before == -32768, before, np.maximum(before, 0))
    assert land.sum() > 500
    assert (after[:, land & ~lost] == recorded[:, land & ~lost]).all()


def test_interpolated_and_saturated_pixels_are_flagged():
    spec = replace(SPECS["C"], started=datetime(2025, 1, 9, 10, tzinfo=UTC))
    bands = band_set("C")
    cube = np.full((224, *SHAPE), 9_800, np.int16)
    layers = replace(Layers.clear(SHAPE), snow=np.ones(SHAPE, np.uint8))
    after, flagged = processed(cube + np.arange(60, dtype=np.int16) ** 2 % 97, layers, spec)
    assert (flagged.testflags & SATURATED > 0).all()
    assert after[bands.detector == "VNIR"].max() == 11_500
    lost = flagged.testflags & INTERPOLATED > 0
    assert lost[:, 1:-1].any(axis=1).sum() > 50
    for line, col in np.argwhere(lost)[::17]:
        left, middle, right = after[200, line, col - 1 : col + 2].tolist()
        assert middle == np.rint((left + right) / 2)


@pytest.mark.parametrize("generations", [False, True])
def test_archives_show_it_only_if_asked(tmp_path, generations):
    options = ArchiveOptions(tiles=3, seed=2, size=64, clouds=False, generations=generations)
    task = next(
        task for task in plan_archive(options) if task.packing == "folder" and task.spec.version > "V0103"
    )
    make_product(tmp_path, task, options)
    with rasterio.open(next(tmp_path.rglob("*SPECTRAL_IMAGE*"))) as raster:
        found = raster.read()
    kept = found[kept_of(task.spec)][:, task.footprint.inside()]
    assert (0.3 < (kept[-100] == 0).mean() < 0.7) == generations  # the sea is half of the first site's tile
    if not generations:
        expected, _ = render(Scene(2), Sky((0,)), task.spec, task.footprint.inside())
        assert (found == expected).all()
