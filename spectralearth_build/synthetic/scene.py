"""An analytic ground: reflectance at any position, date and wavelength, the same for every tile that sees it.

Fields are sums of plane waves in Earth-centred coordinates. They are smooth everywhere, also across zone edges and the
antimeridian, with wavelengths from a few hundred metres to 20 km. Nothing is stored or interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.synthetic.spectra import surfaces

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

EARTH = 6_371_000.0
"""Radius of the sphere on which the waves are defined, metres."""
_CONTRAST = 2.6
"""Sharpness of the transition from one surface to another."""


@dataclass(frozen=True)
class Waves:
    """Random smooth fields on the globe, each approximately standard normal."""

    seed: tuple[int, ...]
    fields: int
    shortest: float
    """Shortest wavelength, metres."""
    longest: float
    """Longest wavelength, metres."""
    count: int = 40
    """Number of waves in a field."""

    @cached_property
    def _table(self) -> tuple[Floats, Floats, Floats]:
        random = np.random.default_rng(self.seed)
        lengths = np.geomspace(self.shortest, self.longest, self.count)
        vectors = _spread(self.count, random.uniform(size=2)) * (2 * np.pi / lengths)[:, None]
        signs = np.where(random.uniform(size=(self.fields, self.count)) < 0.5, -1, 1)
        amplitudes = signs * random.uniform(0.4, 1, (self.fields, self.count)) * lengths**0.4
        amplitudes *= np.sqrt(2 / (amplitudes**2).sum(axis=1, keepdims=True))
        return vectors, random.uniform(0, 2 * np.pi, self.count), amplitudes

    def __call__(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Weights:
        """Values at longitudes and latitudes in degrees: float32 [field, *shape]."""
        place = earth_centred(lon, lat)
        out = np.empty((self.fields, place[0].size), np.float32)
        _sum_waves(np.stack([axis.ravel() for axis in place]), *self._table, out)
        return out.reshape(self.fields, *place[0].shape)


def _spread(count: int, start: Floats) -> Floats:
    """Unit vectors [count, 3] without a preferred direction: any few consecutive ones are evenly spread."""
    steps = np.arange(count)[:, None] * np.array([0.7548776662466927, 0.5698402909980532])  # the R2 sequence
    height, turn = ((start + steps) % 1).T
    z, angle = 2 * height - 1, 2 * np.pi * turn
    level = np.sqrt(1 - z**2)
    return np.stack([level * np.cos(angle), level * np.sin(angle), z], axis=1)


def earth_centred(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Coordinates on a sphere, metres: continuous everywhere, whatever the range of the longitudes."""
    east, north = np.radians(np.asarray(lon, dtype=float)), np.radians(np.asarray(lat, dtype=float))
    level = EARTH * np.cos(north)
    return level * np.cos(east), level * np.sin(east), EARTH * np.sin(north)


@dataclass(frozen=True)
class Scene:
    """The ground of a synthetic world."""

    seed: int = 0

    @cached_property
    def _fields(self) -> Waves:
        return Waves((self.seed, 1), 5, 400, 15_000, 60)

    @cached_property
    def _parcels(self) -> Waves:
        return Waves((self.seed, 2), 2, 350, 1_200, 30)

    def abundances(self, lon: npt.ArrayLike, lat: npt.ArrayLike, moment: datetime) -> Weights:
        """Shares of the surfaces of `spectra.SURFACES`, float32 [6, *shape], with the sum 1."""
        shares, (_, crop), drift = self._ground(lon, lat)
        north = np.asarray(lat, dtype=np.float32)
        green = shares[0] * vigour(moment, north, crop)
        cover = _sigmoid(9 * (winter(moment, north) * np.abs(north) / 55 - 0.9 + 0.12 * drift))
        land = np.stack([green, shares[0] - green, shares[1], shares[3]]) * (1 - cover)
        return np.stack([*land[:3], shares[2], land[3], cover * (1 - shares[2])])

    def cover(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Weights, Weights]:
        """The cover of the ground, independent of the date.

        Returns:
            Shares of plants, soil, water and built-up land, float32 [4, *shape], with the sum 1; and the soil and crop
            fields of the parcels, float32 [2, *shape], -1 to 1. The crop field determines when plants are green.
        """
        return self._ground(lon, lat)[:2]

    def _ground(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Weights, Weights, Weights]:
        plant, soil, water, urban, drift = self._fields(lon, lat)
        parcels = np.tanh(1.5 * self._parcels(lon, lat))
        logits = np.stack([plant + 0.9, soil + 0.5 * parcels[0], 1.6 * water - 1.6, 1.4 * urban - 1.9])
        shares = np.exp(_CONTRAST * (logits - logits.max(axis=0)))
        shares /= shares.sum(axis=0)
        return shares, parcels, drift

    def reflectance(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike, moment: datetime, wavelength_nm: npt.ArrayLike
    ) -> Weights:
        """Cloudless, noiseless reflectance, float32 [band, *shape].

        Args:
            lon: longitudes, degrees.
            lat: latitudes of the same shape, degrees.
            moment: date, which determines the season.
            wavelength_nm: wavelengths [band], nm.
        """
        shares = self.abundances(lon, lat, moment)
        spectra = surfaces(wavelength_nm).astype(np.float32)
        return np.asarray(np.tensordot(spectra, shares, axes=(0, 0)), dtype=np.float32)


def winter(moment: datetime, lat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 in mid-January in the north and mid-July in the south, -1 half a year later."""
    phase = 2 * np.pi * (moment.timetuple().tm_yday - 15) / 365.25
    return np.asarray(np.where(lat >= 0, 1, -1) * np.cos(phase), dtype=np.float32)


def vigour(moment: datetime, lat: npt.NDArray[np.float32], crop: Weights) -> Weights:
    """Green share of vegetation, 0-1: high in summer, with a peak that the crop field shifts."""
    season = -winter(moment, lat) * np.minimum(np.abs(lat) / 25, 1)
    return _sigmoid(2.2 * season + 0.9 * crop + 0.3)


def _sigmoid(x: Weights | Floats) -> Weights:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)


@kernel
def _sum_waves(place: Floats, vectors: Floats, phases: Floats, amplitudes: Floats, out: Weights) -> None:
    fields = amplitudes.shape[0]
    for i in range(place.shape[1]):
        for field in range(fields):
            out[field, i] = 0
        for wave in range(phases.shape[0]):
            along = (
                place[0, i] * vectors[wave, 0]
                + place[1, i] * vectors[wave, 1]
                + place[2, i] * vectors[wave, 2]
            )
            value = np.sin(along + phases[wave])
            for field in range(fields):
                out[field, i] += amplitudes[field, wave] * value
