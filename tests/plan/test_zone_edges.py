"""Components that reach over the edge of a UTM zone, the equator and the antimeridian."""

import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer

from spectralearth_build.config import PlanConfig, QualityConfig
from spectralearth_build.mask import CLOUD, VALID
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box, window
from spectralearth_build.overlap.view import Tile
from spectralearth_build.plan.component import plan_component
from tests.support.component_rows import as_rows

HEIGHT, WIDTH = 420, 560


def tile_at(lon, lat, epsg, number):
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    box = Box(round((15 - y) / 30) - HEIGHT // 2, round((x - 15) / 30) - WIDTH // 2, HEIGHT, WIDTH)
    footprint = to_lonlat(shapely.box(*box.bounds), epsg)
    return Tile(f"DT{number:010d}_001", f"DT{number:010d}", 1, epsg, box, footprint)


EDGES = {
    "zone edge": (12.0, 50.0, (32632, 32633)),
    "far north": (12.0, 76.0, (32632, 32633)),
    "equator": (9.0, 0.0, (32632, 32732)),
    "antimeridian": (180.0, -17.0, (32760, 32701)),
}


PLANS = [(edge, "shelves") for edge in EDGES] + [
    ("antimeridian", strategy) for strategy in ("lattice", "greedy", "algorithm1")
]


@pytest.fixture(scope="module", params=PLANS, ids=" ".join)
def edge(request):
    """Two tiles over the same ground, each in its own zone, and their plan."""
    name, strategy = request.param
    lon, lat, zones = EDGES[name]
    tiles = [tile_at(lon, lat, epsg, number) for number, epsg in enumerate(zones, 1)]
    mask = np.full((HEIGHT, WIDTH), VALID, np.uint8)
    config = PlanConfig(strategy=strategy)
    return tiles, as_rows(plan_component(tiles, lambda _: mask, config, QualityConfig()))


def ground(location):
    box = window(-location["lattice_row"], location["lattice_col"])
    return shapely.box(*box.bounds)


def test_every_window_lives_in_the_zone_of_its_centre(edge):
    _, plan = edge
    zones = set()
    for location in plan.locations:
        centre = ground(location).centroid
        lon, lat = Transformer.from_crs(location["epsg"], 4326, always_xy=True).transform(centre.x, centre.y)
        zone = int((lon + 180) // 6) % 60 + 1
        assert location["epsg"] == (32600 if lat >= 0 else 32700) + zone
        zones.add(location["epsg"])
    assert len(zones) == 2


def test_no_two_windows_overlap_on_the_ground(edge):
    _, plan = edge
    shapes = np.array([to_lonlat(ground(location), location["epsg"]) for location in plan.locations])
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects").T
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    common = shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]])
    geod = Geod(ellps="WGS84")
    assert (
        max((abs(geod.geometry_area_perimeter(c)[0]) for c in common if c.area > 0), default=0) < 900
    )  # a pixel


def test_the_neighbours_tile_joins_the_series_marked_resampled(edge):
    tiles, plan = edge
    epsg_of = {tile.tile_id: tile.epsg for tile in tiles}
    lattice_of = {location["location_id"]: location["epsg"] for location in plan.locations}
    assert max(location["n"] for location in plan.locations) == 2
    assert {patch["resampled"] for patch in plan.patches} == {True, False}
    for patch in plan.patches:
        assert patch["resampled"] == (epsg_of[patch["tile_id"]] != lattice_of[patch["location_id"]])


def test_every_resampled_pixel_has_its_support_inside_the_raster(edge):
    tiles, plan = edge
    by_id = {tile.tile_id: tile for tile in tiles}
    where = {location["location_id"]: location for location in plan.locations}
    for patch in (p for p in plan.patches if p["resampled"]):
        location, tile = where[patch["location_id"]], by_id[patch["tile_id"]]
        x = 15 + 30 * (location["lattice_col"] + np.arange(128) + 0.5)
        y = 15 + 30 * (location["lattice_row"] - np.arange(128) - 0.5)
        east, north = Transformer.from_crs(location["epsg"], tile.epsg, always_xy=True).transform(
            *np.meshgrid(x, y)
        )
        west, south, right, top = tile.box.bounds
        edge = 15 - 1e-6  # half a pixel, and less than what projecting rounds away
        assert (east - edge >= west).all()
        assert (east + edge <= right).all()
        assert (north - edge >= south).all()
        assert (north + edge <= top).all()


def test_clouds_of_a_foreign_tile_count_where_they_lie():
    lon, lat, zones = EDGES["zone edge"]
    tiles = [tile_at(lon, lat, epsg, number) for number, epsg in enumerate(zones, 1)]
    clear, cloudy = (
        np.full((HEIGHT, WIDTH), VALID, np.uint8),
        np.full((HEIGHT, WIDTH), VALID | CLOUD, np.uint8),
    )
    masks = {tiles[0].tile_id: clear, tiles[1].tile_id: cloudy}
    plan = as_rows(plan_component(tiles, lambda tile: masks[tile.tile_id], PlanConfig(), QualityConfig()))
    assert {patch["datatake"] for patch in plan.patches} == {tiles[0].datatake}
    assert {location["n"] for location in plan.locations} == {1}
