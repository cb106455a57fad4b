"""Projection to longitude and latitude, against pyproj point by point, and across the antimeridian."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from spectralearth_build.overlap.geography import to_lonlat

GEOD = Geod(ellps="WGS84")


def ground_area(geometry) -> float:
    """Square metres on the ellipsoid."""
    return sum(abs(GEOD.geometry_area_perimeter(part)[0]) for part in shapely.get_parts(geometry))


def utm(lon: float, lat: float, epsg: int) -> tuple[float, float]:
    return Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)


def square(lon: float, lat: float, epsg: int, size: float = 36_000):
    x, y = utm(lon, lat, epsg)
    return shapely.box(x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def test_a_corner_lies_where_pyproj_says():
    lonlat = to_lonlat(shapely.Point(467085, 6321105), 32633)
    # Upper-left corner of the raster of ENMAP01-____L2A-DT0000140097_20250708T104407Z_001, catalogue item.
    assert (lonlat.x, lonlat.y) == pytest.approx((14.4586, 57.0331), abs=1e-3)
    expected = Transformer.from_crs(32633, 4326, always_xy=True).transform(467085, 6321105)
    assert (lonlat.x, lonlat.y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("epsg", "lon", "lat"),
    [(32660, 179.99, 65), (32601, -179.99, 65), (32760, 180, -17), (32701, 179.95, -17)],
)
def test_the_antimeridian_splits_and_keeps_the_area(epsg, lon, lat):
    polygon = square(lon, lat, epsg)
    result = to_lonlat(polygon, epsg)
    assert result.geom_type == "MultiPolygon"
    assert shapely.is_valid(result)
    west, _, east, _ = zip(*(part.bounds for part in result.geoms), strict=True)
    assert min(west) == -180
    assert max(east) == 180
    assert all(e - w < 2 for w, e in zip(west, east, strict=True))
    x, y = np.array(shapely.get_coordinates(shapely.segmentize(polygon, 100))).T
    lons, lats = Transformer.from_crs(epsg, 4326, always_xy=True).transform(x, y)
    whole = shapely.Polygon(np.stack([np.asarray(lons) % 360, lats], axis=1))
    assert ground_area(result) == pytest.approx(ground_area(whole), rel=1e-4)


def test_a_tile_in_the_neighbouring_zone_of_the_antimeridian_stays_whole():
    result = to_lonlat(square(-179.0, 10, 32601), 32601)
    assert result.geom_type == "Polygon"
    assert result.bounds[0] > -180


def test_a_tile_delivered_in_the_zone_across_the_antimeridian():
    result = to_lonlat(square(-179.0, 10, 32660), 32660)
    assert result.geom_type == "Polygon"
    assert result.bounds[2] < -178


def test_long_edges_follow_the_curve():
    polygon = shapely.box(480_000, 7_766_000, 520_000, 7_767_000)
    middle = Transformer.from_crs(32633, 4326, always_xy=True).transform(500_000, 7_766_000)
    assert shapely.distance(shapely.boundary(to_lonlat(polygon, 32633)), shapely.Point(middle)) < 2e-5


def test_arrays_give_what_single_geometries_give():
    polygons = np.array([square(179.9, 20, 32660), square(177, 30, 32660), square(-179.5, 5, 32660)], object)
    together = to_lonlat(polygons, 32660)
    assert isinstance(together, np.ndarray)
    assert list(together) == [to_lonlat(polygon, 32660) for polygon in polygons]
    assert to_lonlat(np.array([], object), 32660).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.integers(1, 60),
    offset=st.floats(-3.2, 3.2),
    lat=st.floats(-79, 83),
    size=st.floats(4_000, 45_000),
)
def test_never_wider_than_on_the_ground(zone, offset, lat, size):
    epsg = (32600 if lat >= 0 else 32700) + zone
    polygon = square(6 * zone - 183 + offset, lat, epsg, size)
    result = to_lonlat(polygon, epsg)
    degrees = sum(part.bounds[2] - part.bounds[0] for part in shapely.get_parts(result))
    assert degrees < 3 * size / 111_000 / np.cos(np.radians(min(84, abs(lat) + 0.5)))
    assert -180 <= result.bounds[0] <= result.bounds[2] <= 180
    assert ground_area(result) == pytest.approx(polygon.area, rel=0.01)
