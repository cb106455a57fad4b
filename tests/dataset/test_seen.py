"""What an encoder saw, compared with rectangles on the ellipsoid and with a check of every pair."""

import json

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from spectralearth_build.dataset.seen import SeenPatches, places_of
from spectralearth_build.overlap.lattice import bounds_of


def seen(names, split="train"):
    patches = pd.DataFrame({"location_id": names, "patch_id": [f"{name}_a" for name in names]})
    return SeenPatches.of(patches, split)


def outline(name, epsg):
    zone, col, row = map(int, name.split("_"))
    west, south, east, north = bounds_of(row, col)
    corners = [(west, south), (west, north), (east, north), (east, south)]
    if zone != epsg:
        other = pyproj.Transformer.from_crs(zone, epsg, always_xy=True)
        corners = [other.transform(*corner) for corner in corners]
    return shapely.Polygon(corners)


def test_the_description_survives_a_file():
    random = np.random.default_rng(0)
    names = [f"{zone}_{col}_{row}" for zone, col, row in zip(
        random.choice([32601, 32660, 32733], 500), random.integers(-500, 40_000, 500),
        random.integers(-330_000, 330_000, 500), strict=True)]  # fmt: skip
    made = seen([*names, names[0]])
    found = SeenPatches.from_document(json.loads(json.dumps(made.document())))
    assert (found.split, found.patches, found.sha256) == ("train", 501, made.sha256)
    assert {tuple(place) for place in found.places.tolist()} == {
        tuple(map(int, name.split("_"))) for name in names
    }
    assert seen(names[::-1]).sha256 != made.sha256 == seen([names[0], *names]).sha256


def test_windows_that_overlap_by_a_pixel_share_ground_and_neighbours_do_not():
    made = seen(["32632_20000_174000"])
    asked = {
        "32632_20000_174000": True,
        "32632_20127_174000": True,
        "32632_20128_174000": False,
        "32632_19873_174127": True,
        "32632_19872_174000": False,
        "32632_20000_173872": False,
        "32732_20000_174000": False,
        "32640_20000_174000": False,
    }
    assert made.share_ground(asked).tolist() == list(asked.values())


def test_every_pair_of_a_zone_is_found():
    random = np.random.default_rng(1)
    ours, theirs = (
        [f"32632_{col}_{row}" for col, row in random.integers(0, 3000, (200, 2)).tolist()] for _ in range(2)
    )
    shapes = shapely.union_all([outline(name, 32632) for name in ours])
    expected = [shapes.intersection(outline(name, 32632)).area > 1 for name in theirs]
    assert 20 < sum(expected) < 180
    assert seen(ours).share_ground(theirs).tolist() == expected


@pytest.mark.parametrize("north", [True, False])
def test_ground_across_a_zone_border_is_found(north):
    """Two windows on one point near 12 degrees east, one in each zone; and one 10 km away."""
    lat = 48.0 if north else -33.0
    base = 32600 if north else 32700
    places = {}
    for epsg in (base + 32, base + 33):
        x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(12.0, lat)
        places[epsg] = (round((x - 15) / 30) - 64, round((y - 15) / 30) + 64)
    (col, row), (other_col, other_row) = places.values()
    made = seen([f"{base + 32}_{col}_{row}"])
    same, far = f"{base + 33}_{other_col}_{other_row}", f"{base + 33}_{other_col + 333}_{other_row}"
    ours = outline(f"{base + 32}_{col}_{row}", base + 33)
    assert ours.intersection(outline(same, base + 33)).area > 0.8 * ours.area
    assert ours.intersection(outline(far, base + 33)).area == 0
    assert made.share_ground([same, far]).tolist() == [True, False]


def test_nothing_shares_ground_with_nothing():
    assert seen([]).share_ground(["32632_0_0"]).tolist() == [False]
    assert seen(["32632_0_0"]).share_ground([]).shape == (0,)
    assert places_of([]).shape == (0, 3)
