import doctest
import pickle

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.store.codec import NODATA
from tests.support.loader_data import EPSG, pixels_of

torch = pytest.importorskip("torch")
from spectralearth_build.loader import GeoPatches, geo  # noqa: E402

WEST, NORTH = 15 + 30 * 20_000, 15 + 30 * 174_000
"""Upper-left corner of the five windows, which lie in a row."""


@pytest.fixture(scope="module")
def places(known):
    return GeoPatches(known.folder, bands=[0, 100, 201])


def mosaic(known, first=None, last=None):
    """All five windows beside each other, each at its first date in the time."""
    image = np.full((3, 128, 640), NODATA, np.int16)
    table = known.written.sort_values("acquired", ascending=False)
    for row in table.itertuples():
        if (first is None or row.acquired >= first) and (last is None or row.acquired <= last):
            col = int(row.location_id.split("_")[1]) - 20_000
            image[:, :, col : col + 128] = pixels_of(row.store_row)[[0, 100, 201]]
    return image


@pytest.mark.parametrize("seed", range(12))
def test_any_box_is_cut_from_the_mosaic(known, places, seed):
    rng = np.random.default_rng(seed)
    col, line = int(rng.integers(-40, 600)), int(rng.integers(-40, 100))
    width, height = (int(n) for n in rng.integers(60, 300, 2))
    west, north = WEST + 30 * col, NORTH - 30 * line
    sample = places[west : west + 30 * width, north - 30 * height : north]
    around = np.full((3, 1000, 2000), NODATA, np.int16)
    around[:, 300:428, 500:1140] = mosaic(known)
    expected = around[:, 300 + line : 300 + line + height, 500 + col : 500 + col + width]
    assert sample["image"].dtype == torch.float32
    assert np.array_equal(sample["image"].numpy(), expected)
    assert sample["bounds"] == (west, north - 30 * height, west + 30 * width, north)
    assert sample["transform"] == (30, 0, west, 0, -30, north)
    assert sample["crs"].to_epsg() == EPSG


def test_time_chooses_the_date(known, places):
    x, y, whole = places.bounds
    times = sorted(known.written["acquired"].unique())
    for first, last in ((times[1], times[3]), (times[2], times[2])):
        sample = places[:, :, first:last]
        assert np.array_equal(sample["image"].numpy(), mosaic(known, first, last))
    assert (whole.start, whole.stop) == (times[0].tz_convert(None), times[-1].tz_convert(None))
    assert (x.start, x.stop, y.start, y.stop) == (WEST, WEST + 640 * 30, NORTH - 3840, NORTH)
    with pytest.raises(IndexError, match="No patch intersects"):
        places[:, :, pd.Timestamp("2030-01-01") :]


def test_other_ways_to_ask(places):
    class BoundingBox:
        minx, maxx, miny, maxy = WEST + 300, WEST + 3300, NORTH - 3000, NORTH
        mint, maxt = 0.0, 4e9

    box = BoundingBox()
    one = places[box.minx : box.maxx, box.miny : box.maxy]
    for other in (places[box], places[box.minx, box.miny, box.maxx, box.maxy]):
        assert torch.equal(one["image"], other["image"])
    with pytest.raises(IndexError):
        places[0:30, 0:30]


def test_what_samplers_ask_for(known, places):
    assert len(places) == len(places.index) == 15
    assert places.res == (30.0, 30.0)
    assert places.index.crs.to_epsg() == EPSG
    assert isinstance(places.index.index, pd.IntervalIndex)
    assert (places.index.geometry.area == 3840**2).all()
    again = pickle.loads(pickle.dumps(places))
    assert torch.equal(again[WEST : WEST + 900, NORTH - 900 : NORTH]["image"],
                       places[WEST : WEST + 900, NORTH - 900 : NORTH]["image"])  # fmt: skip


def test_zones_and_conditions(known):
    assert len(GeoPatches(known.folder, epsg=EPSG, max_cloud=0.015)) == 9
    for wrong in ({"epsg": 32633}, {"min_dates": 90}):
        with pytest.raises(UsageError, match="meets the conditions"):
            GeoPatches(known.folder, **wrong)


def test_damage_is_named(own):
    for row in own.written["store_row"]:
        own.shard(row).unlink(missing_ok=True)
    with pytest.raises(DamagedError, match="Patch 32632_20000_174000_DT"):
        GeoPatches(own.folder)[WEST : WEST + 30, NORTH - 30 : NORTH]


def test_examples(known):
    result = doctest.testmod(geo, extraglobs={"folder": known.folder})
    assert result.attempted > 2
    assert result.failed == 0
