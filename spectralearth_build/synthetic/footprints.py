"""A tile table without products: any number of full-size footprints, for planning at the scale of a real archive.

Sites are on slots of one tile along ground tracks one degree apart. So ground is seen twice only if the same site is
visited twice, and the share of such ground does not depend on the number of tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from spectralearth_build.layout import TileStatus
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import columns_of
from spectralearth_build.synthetic.geometry import (
    FULL_SIZE,
    OVERLAP,
    Footprint,
    Pass,
    footprints_of,
    heading,
    sun,
)
from spectralearth_build.synthetic.sites import Visit, days, version_of
from spectralearth_build.synthetic.spec import LINE_SECONDS, ProductSpec
from spectralearth_build.tables import TILES

REVISITED = 0.3
"""Share of sites seen more than once; it gives about 17 % of the ground two or more dates."""
MOST_DATES, MOST_TILES = 40, 20
_NORTH, _SOUTH = 60.0, -56.0
_SLOT = 30.2 / 111.195
"""Length of a tile, degrees of latitude."""


def footprints(tiles: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Make a table of ``tiles`` tiles with the columns of `tables.TILES`, the same for the same arguments.

    Every tile is eligible and unplanned, and has no mask (its geometry serves as mask). With up to about 150,000 tiles,
    only intended visits see the same ground. With more than 211,667 tiles, further sites lie between the tracks and
    overlap those beside them. With about twice as many, no room is left, and the table is shorter than asked for.
    """
    passes = sorted(
        _passes(tiles, np.random.default_rng([seed, 21])), key=lambda p: (p.epsg or 0, p.datatake)
    )
    strips = [(strip, footprints_of(strip, FULL_SIZE)) for strip in passes]
    weather = np.random.default_rng([seed, 22])
    rows = [row for strip, shapes in strips for row in _rows(strip, shapes, weather)]
    frame = TILES.frame(rows)
    frame.geometry = _geometry([shape for _, shapes in strips for shape in shapes])
    return frame.sort_values("tile_id", ignore_index=True)


def _passes(tiles: int, random: np.random.Generator) -> Iterator[Pass]:
    taken, left = set[str](), tiles
    for site in _sites(random):
        for visit in _visits(*site, random):
            yield replace(visit, tiles=min(visit.tiles, left)).as_pass(taken)
            left -= min(visit.tiles, left)
            if left == 0:
                return


def _sites(random: np.random.Generator) -> Iterator[tuple[float, float, int]]:
    """Yield longitude, latitude and length in tiles of sites that do not touch, track by track."""
    for offset in (0.0, 0.5, 0.25, 0.75):
        for track in random.permutation(360):
            lat, lon = _NORTH, track - 180 + offset
            while lat > _SOUTH:
                strip = min(int(random.pareto(1.2)) + 1, MOST_TILES)
                yield float((lon + 180) % 360 - 180), lat, strip
                free = strip + 2 + int(random.exponential(1.5))
                lon -= np.tan(np.radians(heading(lat))) * free * _SLOT / np.cos(np.radians(lat))
                lat -= free * _SLOT


def _visits(lon: float, lat: float, strip: int, random: np.random.Generator) -> Iterator[Visit]:
    """Yield one date, or several: some see the whole strip, some a single tile of it."""
    several = random.uniform() < REVISITED
    dates = min(int(2 * (1 + random.pareto(2.0))), MOST_DATES) if several else 1
    for day in days(dates, random):
        whole = not several or random.uniform() < 0.5
        slot = 0 if whole else int(random.integers(strip))
        north = slot * _SLOT + random.uniform(0, 0.3) * _SLOT * several
        turn = np.tan(np.radians(heading(lat))) / np.cos(np.radians(lat))
        east = random.normal(0, 0.03) * several
        yield Visit(
            day,
            float((lon - north * turn + east + 180) % 360 - 180),
            float(lat - north),
            strip if whole else 1,
            float(np.clip(random.normal(0, 8), -26, 26)),
        )


def _rows(strip: Pass, shapes: list[Footprint], weather: np.random.Generator) -> Iterator[dict[str, Any]]:
    elevation, azimuth = sun(strip.lon, strip.lat, strip.started)
    cloud, haze, cirrus, water = np.round(100 * weather.beta(0.5, 1.5, (len(shapes), 4))).T
    for number, shape in enumerate(shapes):
        box = shape.box()
        started = strip.started + timedelta(seconds=number * (shape.lines - OVERLAP) * LINE_SECONDS)
        spec = ProductSpec(
            datatake=strip.datatake,
            tile=number + 1,
            started=started,
            processed=(started + timedelta(days=1)).replace(microsecond=0),
            version=version_of(started),
        )
        yield {
            "product_id": spec.product_id,
            "tile_id": spec.tile_id,
            "datatake": spec.datatake,
            "tile": spec.tile,
            "version": spec.version,
            "processed": spec.processed,
            "acquired": started,
            "epsg": shape.epsg,
            **columns_of(box.line, box.col),
            "height": box.height,
            "width": box.width,
            "path": f"{started:%Y}/{spec.product_id}",
            "status": TileStatus.UNUSED,
            "reason": "",
            "error_class": "",
            "eligible": True,
            "fingerprint": sha256(spec.product_id.encode()).hexdigest(),
            "mask": "",
            "valid_fraction": shape.lines * shape.width / (box.height * box.width),
            "cloud_cover": cloud[number],
            "haze_cover": haze[number],
            "cirrus_cover": cirrus[number],
            "snow_cover": 0.0,
            "water_cover": water[number],
            "sun_elevation": elevation,
            "sun_azimuth": azimuth,
            "off_nadir": strip.off_nadir,
            "overall_quality": 0,
        }


def _geometry(shapes: list[Footprint]) -> gpd.GeoSeries:
    """Outlines in longitude and latitude, zone by zone."""
    zones = np.array([shape.epsg for shape in shapes])
    rings = shapely.polygons(np.stack([shape.corners_xy() for shape in shapes]))
    result: npt.NDArray[np.object_] = np.empty(len(shapes), dtype=object)
    for epsg in np.unique(zones):
        result[zones == epsg] = to_lonlat(rings[zones == epsg], int(epsg))
    return gpd.GeoSeries(result, crs="EPSG:4326")
