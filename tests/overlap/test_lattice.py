"""The lattice on real numbers: the first recorded catalogue item of the archive."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.overlap import lattice
from spectralearth_build.overlap.lattice import Box, box_of_raster, window

PACKAGE = Path(lattice.__file__).parents[1]


def test_a_real_raster_lies_on_the_lattice():
    box = box_of_raster(467085.0, 6321105.0, (30.0, 30.0), (1222, 1268))
    assert box == Box(-210703, 15569, 1222, 1268)
    assert box.bounds == (467085, 6284445, 505125, 6321105)


@pytest.mark.parametrize(
    ("west", "north", "pixel"),
    [
        (467084.0, 6321105.0, 30.0),
        (467085.0, 6321100.0, 30.0),
        (467085.0, 6321105.0, 29.99),
        (467070.0, 6321105.0, 30.0),
    ],
)
def test_off_the_lattice_is_none(west, north, pixel):
    assert box_of_raster(west, north, (pixel, pixel), (10, 10)) is None


def test_boxes_meet_and_slice():
    a, b = Box(0, 0, 10, 10), window(5, 7, 8)
    assert a.intersection(b) == Box(5, 7, 5, 3)
    assert a.intersection(Box(10, 0, 5, 5)) is None
    assert Box(5, 7, 5, 3).slices(inside=a) == (slice(5, 10), slice(7, 10))
    assert a.grown(2) == Box(-2, -2, 14, 14)


def test_pixels_and_metres():
    assert (lattice.easting(15569), lattice.northing(-210703)) == (467085, 6321105)
    assert (lattice.col_at(467085.0), lattice.line_at(6321105.0)) == (15569, -210703)
    x, y = Box(-210703, 15569, 2, 3).centres
    assert x.tolist() == [467100, 467130, 467160]
    assert y.tolist() == [6321090, 6321060]


def test_tables_and_lines():
    """Rows of tables grow north and lines grow south; what comes back is what was said."""
    table = pd.DataFrame({"lattice_row": [210703, -4], "lattice_col": [15569, 7]}, dtype=np.int32)
    assert lattice.anchors_of(table).tolist() == [[-210703, 15569], [4, 7]]
    said = lattice.columns_of(*lattice.anchors_of(table).T)
    assert pd.DataFrame(said)[["lattice_row", "lattice_col"]].equals(table)
    west, north = lattice.corner_of(table["lattice_row"], table["lattice_col"])
    assert [west.tolist(), north.tolist()] == [[467085, 225], [6321105, -105]]
    window_bounds = [lattice.window_of(*place).bounds for place in table.itertuples(index=False)]
    assert np.stack(lattice.bounds_of(table["lattice_row"], table["lattice_col"]), axis=1).tolist() == [
        list(bounds) for bounds in window_bounds
    ]
    tile = {"lattice_row": 210703, "lattice_col": 15569, "height": 1222, "width": 1268}
    assert lattice.box_of(tile) == box_of_raster(467085.0, 6321105.0, (30.0, 30.0), (1222, 1268))


@pytest.mark.slow
def test_its_numbers_are_said_once():
    """No other module knows the origin, or says for itself what no data is."""
    for path in PACKAGE.rglob("*.py"):
        if path == Path(lattice.__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "ORIGIN" not in names, path
        if path.name != "statistics.py":  # there it is the least of all numbers
            negative = [node.operand for node in ast.walk(tree) if isinstance(node, ast.UnaryOp)]
            assert not [
                each for each in negative if isinstance(each, ast.Constant) and each.value == 32768
            ], path
