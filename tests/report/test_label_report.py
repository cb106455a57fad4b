"""The report's section on labels."""

from __future__ import annotations

import numpy as np
import pytest

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.labels.pair import pair
from spectralearth_build.report.labels import labels
from spectralearth_build.report.page import render
from tests.support.pairing_site import CORINE, request, write_raster


@pytest.mark.slow
def test_classes_are_counted_and_reasons_told(bare, tmp_path):
    assert labels(open_dataset(bare)) == []
    raster = write_raster(tmp_path / "half.tif", 3035, 100, CORINE, seed=2, hole=0.4)
    values = np.random.default_rng(0).random(400, dtype=np.float32)
    trees = write_raster(tmp_path / "trees.tif", 32633, 30, values, seed=1)
    made = request("half", (raster, 2018), least_labelled=0.75)
    table = pair(bare, [made, request("trees", trees, nomenclature="")], InlineExecutor()).table
    half, quantities = labels(open_dataset(bare))
    written = table[(table["label"] == "half") & (table["status"] == "written")]
    assert (half.name, half.written) == ("half", len(written))
    assert half.about == "corine44, from half.tif (2018); rule auto, year nearest."
    left = len(table[table["label"] == "half"]) - len(written)
    assert sum(count for _, count in half.left_out) == left > 0
    assert sum(row.most for row in half.classes) == len(written)
    assert sum(row.patches for row in half.classes) == sum(map(len, written["classes"]))
    assert quantities.classes == []
    page = render(open_dataset(bare))
    assert f"{len(written)} of 5 patches" in page
    assert all(row.name in page and row.colour in page for row in half.classes)
