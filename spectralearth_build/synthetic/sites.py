"""Datatakes of an archive: positions, dates and weather, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from spectralearth_build.overlap.lattice import METRES_PER_DEGREE, PIXEL
from spectralearth_build.synthetic.band_sets import BandSetName
from spectralearth_build.synthetic.geometry import OVERLAP, Pass, footprints_of, utm_epsg

LAUNCH = datetime(2022, 6, 15, tzinfo=UTC)
LATEST = datetime(2025, 9, 30, tzinfo=UTC)
_PER_DAY = 118
"""Datatake numbers per day: DT0000001849 in July 2022, DT0000140097 in July 2025."""
_MOST_DATES, _MOST_TILES = 30, 20


def datatake_name(moment: datetime, taken: set[str]) -> str:
    """A datatake name with a realistic number for that time that is not in ``taken``; it is added there."""
    number = round((moment - LAUNCH).total_seconds() / 86400 * _PER_DAY)
    while (name := f"DT{number:010d}") in taken:
        number += 1
    taken.add(name)
    return name


def band_set_of(moment: datetime) -> BandSetName:
    """The band set of products acquired at that time."""
    if moment < datetime(2023, 1, 1, tzinfo=UTC):
        return "A"
    return "B" if moment < datetime(2024, 6, 30, tzinfo=UTC) else "C"


def version_of(moment: datetime) -> str:
    """The usual processor version of products acquired at that time."""
    return {"A": "V010110", "B": "V010402", "C": "V010502"}[band_set_of(moment)]


def morning(day: datetime, lon: float) -> datetime:
    """About 11:00 local solar time on that day, when the satellite passes."""
    seconds = (11 - lon / 15) * 3600 + 7 * (day.toordinal() % 60)
    return day.replace(hour=0, minute=0, second=0, microsecond=36_933) + timedelta(seconds=round(seconds))


@dataclass(frozen=True)
class Visit:
    """A date on which a site is seen, before it has a datatake number."""

    day: datetime
    lon: float
    lat: float
    tiles: int = 1
    off_nadir: float = 0.0
    epsg: int | None = None
    cover: float = 0.0

    def as_pass(self, taken: set[str]) -> Pass:
        """The datatake of the visit, with a unique number."""
        moment = morning(self.day, self.lon)
        return Pass(
            datatake_name(moment, taken),
            moment,
            lon=self.lon,
            lat=self.lat,
            tiles=self.tiles,
            off_nadir=self.off_nadir,
            epsg=self.epsg,
            cover=self.cover,
        )


DEMO_SITE = (11.35, 47.92)
"""Longitude and latitude of the demo's series."""
_DEMO = (
    Visit(datetime(2022, 7, 24, tzinfo=UTC), *DEMO_SITE, cover=0.04),
    Visit(datetime(2023, 4, 30, tzinfo=UTC), *DEMO_SITE, off_nadir=-6),
    Visit(datetime(2023, 9, 21, tzinfo=UTC), *DEMO_SITE, off_nadir=9, cover=0.05),
    Visit(datetime(2024, 1, 18, tzinfo=UTC), *DEMO_SITE),
    Visit(datetime(2024, 8, 7, tzinfo=UTC), *DEMO_SITE, tiles=3, off_nadir=-3, cover=0.02),
    Visit(datetime(2023, 6, 11, tzinfo=UTC), 12.0, 46.4, epsg=32633),
    Visit(datetime(2024, 7, 30, tzinfo=UTC), 12.0, 46.4, epsg=32632),
    Visit(datetime(2025, 3, 2, tzinfo=UTC), 116.93, -21.66, off_nadir=4.3),
    Visit(datetime(2025, 6, 20, tzinfo=UTC), 180.0, 66.3, epsg=32601),
)


def demo_passes(seed: int, size: int) -> list[Pass]:
    """The demo's datatakes: a series of five dates (one is a strip), a zone edge, the south, and the antimeridian."""
    random, taken = np.random.default_rng([seed, 11]), set[str]()
    passes = []
    for visit in _DEMO:
        moved = _shifted(visit, random, size, 0.02)
        strip = moved.as_pass(taken)
        passes.append(_upstream(strip, size) if strip.tiles > 1 else strip)
    return passes


def _upstream(strip: Pass, size: int) -> Pass:
    """Start the strip farther north, so that two of its tiles meet at the former centre of its first tile."""
    first = footprints_of(strip, size)[0]
    way = 1.5 * (first.lines - OVERLAP) * PIXEL / METRES_PER_DEGREE
    turn = np.tan(np.radians(first.heading)) / np.cos(np.radians(strip.lat))
    return replace(strip, lon=float(strip.lon + way * turn), lat=float(strip.lat + way))


def random_passes(tiles: int, seed: int, size: int) -> list[Pass]:
    """Datatakes with ``tiles`` tiles in total: strips of 1-20 tiles, sites seen 1-30 times.

    No site has more than a third of the tiles. The first site is seen at least three times. Every fourth site is at a
    zone edge (its visits are processed in both zones in turn), every fifth in the south, every tenth on the
    antimeridian.
    """
    random, taken, passes = np.random.default_rng([seed, 12]), set[str](), list[Pass]()
    left = tiles
    for site in count():
        for visit in _site(site, max(3, tiles // 3), random, size):
            if left == 0:
                return passes
            passes.append(replace(visit, tiles=min(visit.tiles, left)).as_pass(taken))
            left -= passes[-1].tiles
    return passes


def _site(number: int, most: int, random: np.random.Generator, size: int) -> Iterator[Visit]:
    """Yield the visits of a site, with at most ``most`` tiles in total."""
    lon, lat = random.uniform(-170, 170), random.uniform(5, 54)
    edge = number % 4 == 3
    if edge:
        lon = round(lon / 6) * 6.0
    if number % 10 == 9:
        lon = 180.0
    if number % 5 == 2:
        lat = -0.7 * lat
    strip = min(round(random.pareto(1.3)) + 1, _MOST_TILES, most // 3 if number == 0 else most)
    dates = min(round(random.pareto(1.1)) + (3 if number == 0 else 1), _MOST_DATES, most // strip)
    for turn, day in enumerate(days(dates, random)):
        visit = Visit(
            day,
            lon,
            lat=lat,
            tiles=strip if random.uniform() < 0.5 else 1,
            off_nadir=float(np.clip(random.normal(0, 9), -26, 26)),
            epsg=utm_epsg(lon - 0.01 * (turn % 2), lat) if edge else None,
            cover=max(0.0, float(random.beta(0.6, 2.2)) - 0.08),
        )
        yield _shifted(visit, random, size, 0.12)


def days(count: int, random: np.random.Generator) -> list[datetime]:
    """Distinct days between `LAUNCH` and `LATEST`, sorted."""
    span = (LATEST - LAUNCH).days
    return [LAUNCH + timedelta(days=int(day)) for day in np.sort(random.choice(span, count, replace=False))]


def _shifted(visit: Visit, random: np.random.Generator, size: int, share: float) -> Visit:
    """Move a visit randomly by up to a share of a tile in each direction."""
    east, north = random.uniform(-share, share, 2) * size * PIXEL / METRES_PER_DEGREE
    lon = visit.lon + east / np.cos(np.radians(visit.lat))
    return replace(visit, lon=float((lon + 180) % 360 - 180), lat=float(visit.lat + north))
