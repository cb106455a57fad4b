"""The navigation part of METADATA.XML: orbit, attitude, times of lines, and RPCs.

These are most of a real file's bytes, so they are made as text. The orbit is a circle in a plane that does not rotate
with the Earth, the attitude is constant, and both detectors see the same ground. This is enough for readers, but not
for geometric processing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from spectralearth_build.synthetic.band_sets import BANDS
from spectralearth_build.synthetic.spec import LINE_SECONDS, ProductSpec

Floats = npt.NDArray[np.float64]
VECTORS = 32
"""Number of state vectors to write; a real file has 6030 of the orbit and 32 of the attitude."""
SCENE_COLUMNS = 1000
"""Pixels of a scan line."""
ORBIT_RADIUS = 6_371_000.0 + 650_000.0
"""Radius of the orbit, metres."""
_GRAVITY = 3.986004418e14
"""Gravitational parameter of the Earth, m3/s2 (WGS 84)."""
_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
_LEAP_SECONDS = 18
"""GPS minus UTC, since 2017."""
_TERMS = 20
"""Number of terms of a cubic in three variables; the first are 1, longitude, latitude, height, longitude x latitude."""
_LON_LAT = 4


def utc(moment: datetime) -> str:
    """Format a time as in METADATA.XML."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def orbit(spec: ProductSpec) -> str:
    """State vectors of the orbit, one per second; the first is above the tile's centre at the start of the tile."""
    position, velocity = orbit_at(spec, np.arange(VECTORS, dtype=float))
    return "".join(
        f'<stateVector maneuver="N" num="{i}" qualInd="R">{_times(spec, i)}'
        f"<posX>{x:.3f}</posX><posY>{y:.3f}</posY><posZ>{z:.3f}</posZ>"
        f"<velX>{u:.6f}</velX><velY>{v:.6f}</velY><velZ>{w:.6f}</velZ></stateVector>\n"
        for i, ((x, y, z), (u, v, w)) in enumerate(zip(position, velocity, strict=True))
    )


def orbit_at(spec: ProductSpec, seconds: Floats) -> tuple[Floats, Floats]:
    """Position, metres, and velocity, metres per second, at times after the tile's start [second, xyz]."""
    lon, lat = np.radians(spec.centre)
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    heading = np.radians(180 + spec.scene_azimuth)
    ahead = np.cross(up, east) * np.cos(heading) + east * np.sin(heading)
    rate = np.sqrt(_GRAVITY / ORBIT_RADIUS**3)
    angle = (rate * seconds)[:, None]
    return (
        ORBIT_RADIUS * (up * np.cos(angle) + ahead * np.sin(angle)),
        ORBIT_RADIUS * rate * (ahead * np.cos(angle) - up * np.sin(angle)),
    )


def attitude(spec: ProductSpec) -> str:
    """State vectors of the attitude: a roll by the off-nadir angle."""
    half = np.radians(spec.across_off_nadir) / 2
    q = f"<q0>{np.cos(half):.9f}</q0><q1>{np.sin(half):.9f}</q1><q2>0.0</q2><q3>0.0</q3>"
    return "".join(
        f'<stateVector num="{i}" qualInd="0" sensor="STR">{_times(spec, i)}{q}</stateVector>\n'
        for i in range(VECTORS)
    )


def frame_times(spec: ProductSpec) -> str:
    """Times of acquisition of the lines."""
    times = (utc(spec.started + timedelta(seconds=i * LINE_SECONDS)) for i in range(spec.lines))
    return "".join(f'<frameTime number="{i}">{time}</frameTime>\n' for i, time in enumerate(times, 1))


def jitter(spec: ProductSpec) -> str:
    """Delays of the lines, all 0."""
    return "".join(f'<jitter number="{i}">0.0</jitter>\n' for i in range(1, spec.lines + 1))


def rpcs(spec: ProductSpec) -> str:
    """Rational polynomials of all bands, from longitude, latitude and height to line and column of the scene.

    They are exact at the corners of the tile, bilinear between them, and the same for all bands.
    """
    inner = "".join(f"<{name}>{value:.10g}</{name}>" for name, value in _rpc(spec))
    return "".join(f'<bandID number="{band}">{inner}</bandID>\n' for band in range(1, BANDS + 1))


def _rpc(spec: ProductSpec) -> Iterator[tuple[str, float]]:
    corners = np.array(spec.footprint())
    lon = spec.centre[0] + (corners[:, 0] - spec.centre[0] + 180) % 360 - 180
    lat = corners[:, 1]
    lines, columns = spec.lines - 1, SCENE_COLUMNS - 1
    seen = {"ROW": np.array([0, lines, lines, 0]), "COL": np.array([0, 0, columns, columns])}
    ground = {"LAT": lat, "LONG": lon}
    offset = {name: (values.min() + values.max()) / 2 for name, values in (seen | ground).items()}
    scale = {name: max(float(np.ptp(values)) / 2, 1e-9) for name, values in (seen | ground).items()}
    offset["HEIGHT"], scale["HEIGHT"] = float(spec.mean_elevation), 500.0
    for name in ("ROW", "COL", "LAT", "LONG", "HEIGHT"):
        yield f"{name}_OFF", offset[name]
    for name in ("ROW", "COL", "LAT", "LONG", "HEIGHT"):
        yield f"{name}_SCALE", scale[name]
    x, y = ((values - offset[name]) / scale[name] for name, values in (("LONG", lon), ("LAT", lat)))
    for name, values in seen.items():
        numerator, denominator = np.zeros(_TERMS), np.zeros(_TERMS)
        terms = np.stack([np.ones(4), x, y, x * y], axis=1)
        numerator[[0, 1, 2, _LON_LAT]] = np.linalg.lstsq(terms, (values - offset[name]) / scale[name])[0]
        denominator[0] = 1
        for part, factors in (("NUM", numerator), ("DEN", denominator)):
            yield from ((f"{name}_{part}_{i:02d}", float(factor)) for i, factor in enumerate(factors, 1))


def _times(spec: ProductSpec, second: int) -> str:
    moment = spec.started + timedelta(seconds=second)
    gps = moment - _GPS_EPOCH + timedelta(seconds=_LEAP_SECONDS)
    whole = gps // timedelta(seconds=1)
    return (
        f"<timeUTC>{utc(moment)}</timeUTC><timeGPS>{whole}</timeGPS>"
        f"<timeGPSFraction>{moment.microsecond / 1e6:.6f}</timeGPSFraction>"
    )
