"""Archives with products of other quantities: what is written, and what a build must make of it."""

import numpy as np
import pytest

from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.synthetic.archive import CORRECTIONS, ArchiveOptions, synthesize
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.spec import Layers, ProductSpec
from spectralearth_build.synthetic.water_mode import corrected


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_values_of_water_mode(correction):
    spec = ProductSpec(correction=correction)
    cube = np.random.default_rng(0).integers(100, 900, (224, 6, 8)).astype(np.int16)
    cube[:, :, 0] = cube[130] = -32768
    classes = np.ones((6, 8), np.uint8)
    classes[3:] = 2
    found = corrected(cube, Layers(classes, *[classes * 0] * 6), spec)
    surface = cube[np.abs(band_set("C").wavelength_nm - 1650).argmin()]
    for line, col in np.ndindex(6, 8):
        water = correction == "Water_Mode" or (correction == "Combined" and line >= 3)
        expected = [
            v if v == -32768 else v - (round(0.9 * surface[line, col]) if water else 0)
            for v in cube[:, line, col]
        ]
        assert found[:, line, col].tolist() == expected
    assert found.dtype == np.int16


@pytest.mark.slow
def test_a_mixed_archive_ends_as_its_makers_say(tmp_path):
    options = ArchiveOptions(tiles=8, size=70, seed=4, clouds=False, corrections=CORRECTIONS)
    made = synthesize(tmp_path / "archive", options)
    frame = scan(tmp_path / "archive", tmp_path / "dataset", Config(), InlineExecutor())
    pairs = frame.groupby("product_id")[["status", "error_class"]]
    found = {name: set(map(tuple, rows.to_numpy())) for name, rows in pairs}  # copies have a row each
    for product in made:
        status = "unused" if product.status == "used" else product.status
        assert (status, product.error_class) in found[product.product_id], product
    assert set(frame["error_class"]) == {"", "OtherCorrectionError"}
    assert set(frame.loc[frame["eligible"], "correction"]) == {"land", "combined"}
    assert frame.loc[frame["eligible"], "correction_assumed"].any()
    tile = next(product.tile_id for product in made if product.status == "superseded")
    statuses = [p.status for p in sorted(made, key=lambda p: p.product_id) if p.tile_id == tile]
    assert statuses == ["superseded", "used", "rejected"]
