"""Classes of the synthetic ground in each land-cover legend, as functions of its cover.

Each class depends on the mixture of surfaces, and on how green the plants of a parcel are at a given date. So it can be
learned from pixels, but not from a single endmember, and not from a single pixel with certainty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectralearth_build.synthetic.scene import Scene, Weights

Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_WET, _WATER, _SEA = 0.15, 0.5, 0.9
_BUILT, _TOWN, _CITY, _CENTRE = 0.2, 0.4, 0.6, 0.8
_FIELDS, _OPEN, _BARE = 0.1, 0.35, 0.85


class Cover(NamedTuple):
    """The cover of the ground, independent of the date; see `Scene.cover`."""

    plants: Weights
    soil: Weights
    water: Weights
    built: Weights
    parcel: Weights
    crop: Weights


def cover_at(scene: Scene, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Cover:
    """The cover at longitudes and latitudes in degrees."""
    shares, parcels = scene.cover(lon, lat)
    return Cover(*shares, *parcels)


def corine(cover: Cover) -> Codes:
    """Codes of CORINE's raster, 1-44."""
    soil, crop = cover.soil, cover.crop
    return _first(
        (cover.water > _SEA, 44),
        (cover.water > _WATER, 41),
        (cover.built > _CENTRE, 1),
        (cover.built > _TOWN, 2),
        (cover.built > _BUILT, 3),
        (cover.water > _WET, 35),
        (soil > _BARE, 31),
        (soil > 0.7, 32),
        ((soil > _OPEN) & (crop < 0), 12),
        (soil > _OPEN, 20),
        ((soil > _FIELDS) & (crop < -0.6), 21),
        ((soil > _FIELDS) & (crop < 0.6), 18),
        (soil > _FIELDS, 15),
        (crop < -0.85, 24),
        (crop < -0.3, 25),
        (crop < 0.3, 29),
        (crop < 0.85, 26),
        otherwise=23,
    )


def cdl(cover: Cover, year: int) -> Codes:
    """Codes of the Cropland Data Layer. Fields rotate: class limits differ slightly between even and odd years."""
    soil, crop = cover.soil, cover.crop + (0.02 if year % 2 == 0 else -0.02)
    mixed, green = soil > _FIELDS, cover.plants >= soil
    return _first(
        (cover.water > _WATER, 111),
        (cover.built > _CENTRE, 124),
        (cover.built > _CITY, 123),
        (cover.built > _TOWN, 122),
        (cover.built > _BUILT, 121),
        (cover.water > _WET, 190),
        (soil > _BARE, 131),
        (mixed & green & (crop < -0.77), 5),
        (mixed & green & (crop < 0), 1),
        (mixed & green & (crop < 0.77), 2),
        (mixed & green, 45),
        (mixed & (crop < -0.77), 6),
        (mixed & (crop < 0), 4),
        (mixed & (crop < 0.77), 54),
        (mixed, 61),
        (crop < -0.85, 176),
        (crop < 0, 75),
        (crop < 0.85, 3),
        otherwise=141,
    )


def nlcd(cover: Cover, year: int) -> Codes:
    """Codes of the National Land Cover Database. Towns grow from year to year."""
    soil, crop, built = cover.soil, cover.crop, cover.built + 0.01 * (year - 2021)
    return _first(
        (cover.water > _WATER, 11),
        (built > _CENTRE, 24),
        (built > _CITY, 23),
        (built > _TOWN, 22),
        (built > _BUILT, 21),
        ((cover.water > _WET) & (crop > 0), 90),
        (cover.water > _WET, 95),
        (soil > _BARE, 31),
        ((soil > _OPEN) & (crop < 0), 52),
        (soil > _OPEN, 71),
        ((soil > _FIELDS) & (crop < 0), 81),
        (soil > _FIELDS, 82),
        (crop < -0.6, 42),
        (crop < 0.6, 43),
        otherwise=41,
    )


def tree_cover(cover: Cover) -> Weights:
    """Percentage of tree cover, float32, in eighths; plants that are green late have more trees."""
    return np.asarray(np.rint(400 * cover.plants * (1 + cover.crop)) / 8, dtype=np.float32)


def _first(*rules: tuple[Flags, int], otherwise: int) -> Codes:
    """The code of the first rule that applies."""
    flags, codes = zip(*rules, strict=True)
    return np.select(flags, [np.uint8(code) for code in codes], np.uint8(otherwise))
