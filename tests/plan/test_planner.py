"""The plan stage on a tile table: tables, refusals and doing nothing twice."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod

from spectralearth_build import config as settings
from spectralearth_build import mask as masks
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import ConfigError, PlanChangedError
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.plan.planner import plan
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES
from tests.support.growing_plan import COL, EPSG, LINE, tile


def written(folder, rows):
    TILES.write(TILES.frame(rows), folder)
    return folder


@pytest.fixture
def dataset(tmp_path):
    """Two tiles that share ground, one apart, one by night, one superseded."""
    rows = [
        tile(1, 0, 0),
        tile(2, 20, 30),
        tile(3, 5000, 5000),
        tile(4, 0, 0, sun_elevation=0.0),
        tile(5, 0, 0, eligible=False, status="superseded", reason="newer"),
        tile(6, 9000, 0, shape=(100, 300)),
    ]
    return written(tmp_path, rows)


@pytest.mark.slow
def test_tables_of_a_small_archive(dataset):
    result = plan(dataset, settings.load(), InlineExecutor())
    locations, patches = LOCATIONS.read(dataset), PATCHES.read(dataset)
    assert result.fresh
    assert result.counts["patches"] == len(patches) == locations["n"].sum()
    assert result.counts["locations_by_dates"]["2"] == (locations["n"] == 2).sum() == 4
    assert (locations["n"] == 1).sum() == 4  # the tile apart
    assert locations["component"].nunique() == 2
    assert (
        patches.groupby("location_id").size().to_dict() == locations.set_index("location_id")["n"].to_dict()
    )
    days = (patches["acquired"] - pd.Timestamp("2023-01-01", tz="UTC")).dt.days
    assert (days == patches["datatake"].str[2:].astype(int)).all()


def test_every_tile_has_its_status(dataset):
    plan(dataset, settings.load(), InlineExecutor())
    tiles = TILES.read(dataset)
    assert tiles["status"].tolist() == ["used", "used", "used", "rejected", "superseded", "unused"]
    assert tiles["error_class"].tolist()[3] == "PoorQualityError"
    assert "0.0 degrees" in tiles["reason"][3]
    assert "no window" in tiles["reason"][5]


def test_overlaps_and_tuples_with_closed_forms(dataset):
    plan(dataset, settings.load(), InlineExecutor())
    overlaps, tuples = OVERLAPS.read(dataset), TUPLES.read(dataset)
    assert overlaps[["tile_a", "tile_b"]].to_numpy().tolist() == [["DT0000000001_001", "DT0000000002_001"]]
    shared = (280 - 127) * (270 - 127)
    assert overlaps["windows"][0] == shared
    assert overlaps["area_km2"][0] == pytest.approx(
        280 * 270 * 9e-4, rel=2e-3
    )  # UTM's scale is not exactly 1
    pair = tuples[tuples["n"] == 2].iloc[0]
    assert pair["windows"] == shared
    assert pair["area_km2"] == pytest.approx(shared * 9e-4)
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(pair["geometry"])[0])
    assert area == pytest.approx(shared * 900, rel=2e-3)


def test_locations_are_where_their_geometry_is(dataset):
    plan(dataset, settings.load(), InlineExecutor())
    for row in LOCATIONS.read(dataset).itertuples():
        x, y = 15 + 30 * row.lattice_col, 15 + 30 * row.lattice_row
        expected = to_lonlat(shapely.box(x, y - 3840, x + 3840, y), EPSG)
        assert row.location_id == f"{EPSG}_{row.lattice_col}_{row.lattice_row}"
        assert shapely.symmetric_difference(row.geometry, expected).area < 1e-12


def state(folder):
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir() if p.is_file()}


def test_again_does_nothing(dataset):
    first = plan(dataset, settings.load(), InlineExecutor())
    before = state(dataset)
    second = plan(dataset, settings.load(), InlineExecutor())
    assert not second.fresh
    assert (second.id, second.counts) == (first.id, first.counts)
    assert state(dataset) == before


def test_the_same_inputs_in_another_order_give_the_same_bytes(dataset, tmp_path):
    plan(dataset, settings.load(), InlineExecutor())
    other = tmp_path / "other"
    written(other, TILES.read(dataset).sample(frac=1, random_state=1))
    plan(other, settings.load(), InlineExecutor())
    for name in ("overlaps", "tuples", "locations", "patches"):
        assert (dataset / f"{name}.parquet").read_bytes() == (other / f"{name}.parquet").read_bytes()
    assert (dataset / "plan.json").read_bytes() == (other / "plan.json").read_bytes()


def test_new_settings_make_a_new_plan_until_something_was_cut(dataset):
    first = plan(dataset, settings.load(), InlineExecutor())
    second = plan(dataset, settings.load(None, {"plan.min_dates": "2"}), InlineExecutor())
    assert second.fresh
    assert second.id != first.id
    assert (LOCATIONS.read(dataset)["n"] >= 2).all()
    (dataset / "commits").mkdir()
    (dataset / "commits" / "shard-00000000.json").write_text(json.dumps({}))
    before = state(dataset)
    with pytest.raises(PlanChangedError, match=r"plan\.min_dates: was 2, is 1"):
        plan(dataset, settings.load(), InlineExecutor())
    assert state(dataset) == before


def test_a_changed_tile_is_named(dataset):
    plan(dataset, settings.load(), InlineExecutor())
    (dataset / "commits").mkdir()
    (dataset / "commits" / "shard-00000000.json").write_text("{}")
    tiles = TILES.read(dataset)
    tiles.loc[0, "fingerprint"] = "other"
    written(dataset, tiles)
    with pytest.raises(PlanChangedError, match="tiles changed: DT0000000001_001"):
        plan(dataset, settings.load(), InlineExecutor())


@pytest.mark.slow
def test_masks_are_read_and_obeyed(tmp_path):
    clear = np.full((300, 300), masks.VALID, np.uint8)
    clear[:, 140:] |= masks.CLOUD
    masks.save(tmp_path / "work/masks/a.mask", clear)
    written(tmp_path, [tile(1, 0, 0, mask="work/masks/a.mask")])
    plan(tmp_path, settings.load(None, {"quality.max_cloud": "0"}), InlineExecutor())
    locations = LOCATIONS.read(tmp_path)
    assert len(locations) == 2
    assert (locations["lattice_col"] + 128 <= COL + 140).all()


def test_an_archive_without_any_window_gives_empty_tables(tmp_path):
    written(tmp_path, [tile(6, 9000, 0, shape=(100, 300))])
    result = plan(tmp_path, settings.load(), InlineExecutor())
    assert result.counts["patches"] == 0
    assert len(PATCHES.read(tmp_path)) == len(LOCATIONS.read(tmp_path)) == 0
    assert "0 patches" in result.summary()[0]


def test_only_tiles_between_the_days_asked_for(dataset):
    plan(
        dataset,
        settings.load(None, {"plan.start": "2023-01-03", "plan.stop": "2023-01-04"}),
        InlineExecutor(),
    )
    tiles, patches = TILES.read(dataset), PATCHES.read(dataset)
    assert set(patches["datatake"]) == {"DT0000000002", "DT0000000003"}
    assert "plan.start" in tiles["reason"][0]
    assert tiles["status"][0] == "unused"


def test_only_windows_of_the_region(dataset, tmp_path):
    x, y = 15 + 30 * COL, 15 - 30 * LINE
    west_half = gpd.GeoDataFrame(geometry=[shapely.box(x, y - 9000, x + 30 * 130, y)], crs=EPSG).to_crs(3857)
    west_half.to_file(tmp_path / "region.gpkg")
    config = settings.load(None, {"plan.region": str(tmp_path / "region.gpkg")})
    plan(dataset, config, InlineExecutor())
    locations, tiles = LOCATIONS.read(dataset), TILES.read(dataset)
    assert len(locations) >= 2
    assert (locations["lattice_col"] + 64 <= COL + 131).all()
    assert tiles["reason"][2] == "outside plan.region"


@pytest.mark.parametrize("content", [b"", b"no vector file"])
def test_an_unreadable_region_is_named(dataset, tmp_path, content):
    (tmp_path / "region.geojson").write_bytes(content)
    config = settings.load(None, {"plan.region": str(tmp_path / "region.geojson")})
    with pytest.raises(ConfigError, match=r"region\.geojson: plan\.region"):
        plan(dataset, config, InlineExecutor())


def test_another_region_in_the_same_file_is_a_change(dataset, tmp_path):
    path = tmp_path / "region.gpkg"
    config = settings.load(None, {"plan.region": str(path)})
    x, y = 15 + 30 * COL, 15 - 30 * LINE
    ids = []
    for width in (9000, 5000):
        gpd.GeoDataFrame(geometry=[shapely.box(x, y - 9000, x + width, y)], crs=EPSG).to_file(path)
        ids.append(plan(dataset, config, InlineExecutor()).id)
    assert ids[0] != ids[1]
