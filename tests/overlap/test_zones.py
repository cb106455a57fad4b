"""Zones and ownership against pyproj, window by window."""

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.overlap.zones import owned, zones_of


@pytest.mark.parametrize("line", [-170_000, -300_000, -70])
def test_owned_anchors_have_their_centre_in_the_zone(line):
    to_lonlat = Transformer.from_crs(32632, 4326, always_xy=True)
    found = owned(32632, line, line + 3)
    assert len(found.runs) == 3
    for at, start, stop in found.runs.tolist():
        columns = np.array([start - 1, start, stop - 1, stop])
        lon, lat = to_lonlat.transform(
            15 + 30 * (columns + WINDOW / 2), np.full(4, 15 - 30 * (at + WINDOW / 2))
        )
        assert ((lon >= 6) & (lon < 12)).tolist() == [False, True, True, False]
        assert (np.asarray(lat) > 0).all()


def test_hemispheres_share_no_anchor():
    north, south = owned(32632, -100, 100), owned(32732, -333_500, -333_200)
    assert north.runs[-1, 0] == -64  # the centre of a window at line -63 lies south of the equator
    assert (15 - 30 * (south.runs[:, 0] + 64) < 10_000_000).all()


@pytest.mark.parametrize(
    ("footprint", "zones"),
    [
        (shapely.box(7, 46, 8, 47), (32632,)),
        (shapely.box(11.9, 46, 12.1, 47), (32632, 32633)),
        (shapely.box(11, -0.1, 12, 0.1), (32632, 32732)),
        (shapely.box(11, -2, 12, -1), (32732,)),
        (
            shapely.MultiPolygon([shapely.box(179.5, 1, 180, 2), shapely.box(-180, 1, -179.5, 2)]),
            (32601, 32660),
        ),
    ],
)
def test_zones_of_a_footprint(footprint, zones):
    assert zones_of(footprint) == zones
