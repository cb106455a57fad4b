"""Footprints of the tiles of a datatake: rotated rectangles on a zone's lattice, like the sensor's swath."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.lattice import PIXEL, WINDOW, Box, col_at, line_at
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.synthetic.spec import Corners

LINES = 1024
"""Scan lines of a full-size tile."""
FULL_SIZE = 1240
"""Raster edge, pixels, of such a tile at a heading of 14 degrees and a swath of 30 km."""
OVERLAP = 18.7
"""Scan lines that consecutive tiles of a datatake share, at any tile size."""
SWATH = 1000
"""Width of a full-size swath at nadir, pixels."""
_ROOM = 6
"""Margin, pixels, around the windows that a small tile must contain."""


@dataclass(frozen=True)
class Pass:
    """A datatake: a strip of tiles from north to south."""

    datatake: str
    started: datetime
    lon: float
    """Longitude of the first tile's centre, degrees."""
    lat: float
    """Latitude of the first tile's centre, degrees."""
    tiles: int = 1
    off_nadir: float = 0.0
    """Across-track angle, degrees; 26 degrees widens the swath from 30 to 39 km."""
    epsg: int | None = None
    """EPSG code of the zone it is processed in; None for that of the first tile's centre."""
    cover: float = 0.0
    """Target cloud cover, 0-1."""


@dataclass(frozen=True)
class Footprint:
    """A tile's rectangle in a zone's plane."""

    epsg: int
    x: float
    """Easting of the centre in the zone, metres."""
    y: float
    """Northing of the centre in the zone, metres."""
    heading: float
    """Flight direction, degrees west of grid south."""
    lines: float
    """Length along the flight direction, pixels."""
    width: float
    """Width across the flight direction, pixels."""

    def corners_xy(self) -> npt.NDArray[np.float64]:
        """Upper-left, lower-left, lower-right and upper-right corner, metres [4, 2]."""
        along, across = _axes(self.heading)
        half, side = along * self.lines * PIXEL / 2, across * self.width * PIXEL / 2
        middle = np.array([self.x, self.y])
        return np.stack(
            [middle - half - side, middle + half - side, middle + half + side, middle - half + side]
        )

    def corners(self) -> Corners:
        """The corners as longitude and latitude."""
        lonlat = transformer(self.epsg, 4326)
        return tuple((float(lon), float(lat)) for lon, lat in lonlat.itransform(self.corners_xy()))

    def box(self) -> Box:
        """The smallest box on the lattice that contains the rectangle."""
        x, y = self.corners_xy().T
        cols, lines = col_at(x), line_at(y)
        line, col = math.floor(lines.min()), math.floor(cols.min())
        return Box(line, col, math.ceil(lines.max()) - line, math.ceil(cols.max()) - col)

    def inside(self) -> npt.NDArray[np.bool_]:
        """Which pixels of the box have their centre in the rectangle, bool [line, col]."""
        box = self.box()
        along, across = _axes(self.heading)
        x, y = box.centres
        dx, dy = x - self.x, y[:, None] - self.y
        far = np.abs(dx * along[0] + dy * along[1]) > self.lines * PIXEL / 2
        aside = np.abs(dx * across[0] + dy * across[1]) > self.width * PIXEL / 2
        return np.asarray(~(far | aside))


def footprints_of(strip: Pass, size: int) -> list[Footprint]:
    """Footprints of a datatake's tiles, each overlapping the next by `OVERLAP` lines.

    Args:
        strip: the datatake.
        size: nominal raster edge, pixels; `FULL_SIZE` for real tiles. The heading is that of the orbit, or smaller if
            a small raster could not contain 2 x 2 windows at that angle.
    """
    epsg = strip.epsg or utm_epsg(strip.lon, strip.lat)
    x, y = transformer(4326, epsg).transform(strip.lon, strip.lat)
    angle = min(heading(strip.lat), _steepest(size))
    turn = math.radians(angle)
    lines = size / (math.cos(turn) + math.sin(turn) * SWATH / LINES)
    width = lines * SWATH / LINES * swath_factor(strip.off_nadir)
    along, _ = _axes(angle)
    step = (lines - OVERLAP) * PIXEL * along
    centres = [(float(x + k * step[0]), float(y + k * step[1])) for k in range(strip.tiles)]
    return [
        Footprint(epsg, east, y=north, heading=angle, lines=lines, width=width) for east, north in centres
    ]


def heading(lat: float) -> float:
    """Flight direction of the descending orbit, degrees west of south; agrees with real items to within a degree.

    The first term is the geometry of an orbit with an inclination of 97.98 degrees, the second the Earth's rotation.
    """
    level = max(math.cos(math.radians(lat)), 0.2)
    return math.degrees(math.asin(min(0.139 / level, 1))) + 4 * level


def swath_factor(off_nadir: float) -> float:
    """Width of the swath relative to nadir; agrees with real items (1.29 at 26 degrees, 1.02 at 8 degrees)."""
    return float(math.cos(math.radians(off_nadir)) ** -2.4)


def utm_epsg(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone of a position."""
    zone = int((lon + 180) % 360 // 6) + 1
    return (32600 if lat >= 0 else 32700) + zone


def sun(lon: float, lat: float, moment: datetime) -> tuple[float, float]:
    """Elevation and azimuth of the sun in degrees, to about a degree."""
    tilt = math.radians(-23.44 * math.cos(2 * math.pi * (moment.timetuple().tm_yday + 10) / 365.25))
    hours = moment.hour + moment.minute / 60 + moment.second / 3600 + lon / 15 - 12
    turn, north = math.radians(15 * hours), math.radians(lat)
    up = math.sin(north) * math.sin(tilt) + math.cos(north) * math.cos(tilt) * math.cos(turn)
    east = -math.cos(tilt) * math.sin(turn)
    ahead = math.cos(north) * math.sin(tilt) - math.sin(north) * math.cos(tilt) * math.cos(turn)
    return math.degrees(math.asin(up)), math.degrees(math.atan2(east, ahead)) % 360


def _steepest(size: int) -> float:
    """Largest heading, degrees, at which a tile of this size contains 2 x 2 windows, or one window if it is too small.

    A square of side s fits into a rectangle that is rotated by t if its sides are s (cos t + sin t); its raster then
    has the edge s (1 + sin 2t).
    """
    held = (2 if size >= 2.1 * (WINDOW + _ROOM) else 1) * WINDOW + _ROOM
    return math.degrees(math.asin(min(max(size / held - 1.03, 0.0), 1))) / 2


def _axes(angle: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Unit vectors (east, north) along and across the flight direction."""
    turn = math.radians(angle)
    return np.array([-math.sin(turn), -math.cos(turn)]), np.array([math.cos(turn), -math.sin(turn)])
