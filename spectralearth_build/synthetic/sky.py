"""Clouds of a datatake with their shadows, haze and cirrus, as functions of position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from spectralearth_build.overlap.lattice import METRES_PER_DEGREE
from spectralearth_build.synthetic.scene import Waves, Weights

Flags = npt.NDArray[np.uint8]
_EDGE = 0.12
"""Width of a cloud's soft edge, in standard deviations of the cloud field."""
_HALO = 0.35
"""Width of the haze around clouds, in standard deviations of the cloud field."""
_CLOUD_BASE = 900.0
"""Height of the clouds that cast shadows, metres."""
_CIRRUS_LEVELS = (0.5, 0.9, 1.3)
"""Thresholds of thin, medium and thick cirrus above that of clouds, in standard deviations of the cirrus field."""


@dataclass(frozen=True)
class Veil:
    """Clouds, shadows, haze and cirrus between ground and sensor, each [line, col]."""

    opacity: Weights
    """Share of the recorded light that comes from the cloud, 0-1."""
    shade: Weights
    """Share of sunlight that a cloud blocks from the ground, 0-1."""
    haze: Weights
    """Density of haze, 0-1."""
    cirrus: Flags
    """Cirrus level, from 0 none to 3 thick."""

    @property
    def flags(self) -> tuple[Flags, Flags, Flags]:
        """Cloud, shadow and haze as 0 or 1; a pixel has at most one of them."""
        cloud = self.opacity > 0.3
        shadow = (self.shade > 0.15) & ~cloud
        haze = (self.haze > 0.25) & ~cloud & ~shadow
        return cloud.astype(np.uint8), shadow.astype(np.uint8), haze.astype(np.uint8)


@dataclass(frozen=True)
class Sky:
    """The weather of one datatake."""

    seed: tuple[int, ...]
    cover: float = 0.0
    """Target share of the ground under cloud, 0-1; 0 is a completely clear sky."""
    sun_elevation: float = 50.0
    sun_azimuth: float = 160.0
    size: float = 1500.0
    """Typical size of clouds, metres."""

    @cached_property
    def _fields(self) -> Waves:
        return Waves(self.seed, 2, self.size / 5, 4 * self.size)

    def veil(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Veil:
        """The veil over longitudes and latitudes in degrees."""
        lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
        if self.cover <= 0:
            clear = np.zeros(lon.shape, np.float32)
            return Veil(clear, clear, clear, np.zeros(lon.shape, np.uint8))
        threshold = NormalDist().inv_cdf(1 - min(self.cover, 0.999))
        above, high = self._fields(lon, lat)
        caster = self._fields(*self._toward_sun(lon, lat))[0]
        opacity = _ramp((above - threshold) / _EDGE)
        return Veil(
            opacity,
            0.65 * _ramp((caster - threshold) / _EDGE),
            _ramp((above - threshold + _HALO) / _HALO) * (1 - opacity),
            sum((high > threshold + level for level in _CIRRUS_LEVELS), np.zeros(lon.shape, np.uint8)),
        )

    def _toward_sun(
        self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Position of the cloud that shades a position."""
        length = _CLOUD_BASE / np.tan(np.radians(np.clip(self.sun_elevation, 15, 90)))
        north, east = (length * f(np.radians(self.sun_azimuth)) / METRES_PER_DEGREE for f in (np.cos, np.sin))
        return lon + east / np.cos(np.radians(lat)), lat + north


def _ramp(x: Weights) -> Weights:
    """Smooth step from 0 at 0 to 1 at 1."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), dtype=np.float32)
