from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import torch
from pyproj import Transformer

from spectralearth_build.bench.pretraining.ground import _cut, land_cover
from spectralearth_build.bench.pretraining.learning import gains
from spectralearth_build.synthetic.scene import Scene


def test_labels_are_what_the_ground_of_each_cell_has_most_of():
    """Against the abundances of high summer, pixel by pixel: green and dry plants together, and no snow."""
    places = pd.DataFrame(
        [(32632, 177000 + 900 * i, 20000) for i in range(6)]
        + [(32732, -121000 - 900 * i, 15000) for i in range(6)],
        columns=["epsg", "lattice_row", "lattice_col"],
    )
    scene, shares = Scene(3), []
    for epsg, row, col in places.itertuples(index=False):
        moment = datetime(2023, 7 if epsg < 32700 else 1, 15, tzinfo=UTC)
        back = Transformer.from_crs(epsg, 4326, always_xy=True)
        for top in range(0, 128, 32):
            for left in range(0, 128, 32):
                # centres of every fourth pixel of the cell
                x = 15 + 30 * (col + left + np.arange(2, 32, 4) + 0.5)
                y = 15 + 30 * (row - top - np.arange(2, 32, 4) - 0.5)
                lon, lat = back.transform(*np.meshgrid(x, y))
                green, dry, soil, water, urban, _ = scene.abundances(lon, lat, moment).mean((1, 2))
                shares.append([green + dry, soil, water, urban])
    shares = np.array(shares)
    expected = ((shares - shares.mean(0)) / shares.std(0)).argmax(1)
    assert land_cover(places, 3).ravel().tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 2


def test_cells_are_cut_line_by_line():
    images = torch.arange(2 * 3 * 64 * 64).view(2, 3, 64, 64)
    cells = _cut(images)
    assert cells.shape == (32, 3, 16, 16)
    for number, cell in enumerate(cells):
        patch, (line, column) = number // 16, divmod(number % 16, 4)
        expected = images[patch, :, 16 * line : 16 * line + 16, 16 * column : 16 * column + 16]
        assert torch.equal(cell, expected)


def test_gains_are_of_each_start():
    rows = pd.DataFrame({
        "objective": ["mae"] * 4, "seed": [0, 0, 1, 1], "state": ["random", "trained"] * 2,
        "knn": [0.5, 0.7, 0.6, 0.65], "linear": [0.4, 0.5, 0.4, 0.7],
    })  # fmt: skip
    ((name, *figures),) = gains(rows)
    assert name == "mae"
    assert figures == pytest.approx([0.55, 0.675, 0.4, 0.6, 0.05, 0.1])
