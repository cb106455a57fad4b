from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from spectralearth_build.bench.pretraining.learning import gains, land_cover
from spectralearth_build.synthetic.scene import Scene


def test_labels_are_what_the_summer_ground_has_most_of():
    corners = [(10 + 0.3 * i, lat) for i in range(12) for lat in (48.0, -33.0)]
    places = gpd.GeoDataFrame(geometry=[box(x, y, x + 0.05, y + 0.035) for x, y in corners], crs=4326)
    scene, shares = Scene(3), []
    for x, y in corners:
        moment = datetime(2023, 7 if y > 0 else 1, 15, tzinfo=UTC)
        points = [
            scene.abundances(np.array([x + 0.05 * a]), np.array([y + 0.035 * b]), moment)[:, 0]
            for a in np.linspace(0.05, 0.95, 12)
            for b in np.linspace(0.05, 0.95, 12)
        ]
        green, dry, soil, water, urban, _ = np.mean(points, axis=0)
        shares.append([green + dry, soil, water, urban])
    shares = np.array(shares)
    expected = ((shares - shares.mean(0)) / shares.std(0)).argmax(1)
    assert land_cover(places, 3).tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 2


def test_gains_are_of_each_start():
    rows = pd.DataFrame({
        "objective": ["mae"] * 4, "seed": [0, 0, 1, 1], "state": ["random", "trained"] * 2,
        "knn": [0.5, 0.7, 0.6, 0.65], "linear": [0.4, 0.5, 0.4, 0.7],
    })  # fmt: skip
    ((name, *figures),) = gains(rows)
    assert name == "mae"
    assert figures == pytest.approx([0.55, 0.675, 0.4, 0.6, 0.05, 0.1])
