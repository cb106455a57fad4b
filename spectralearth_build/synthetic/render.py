"""Render what the sensor records of scene and sky over a tile: the image and the quality layers."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from spectralearth_build.kernels import kernel
from spectralearth_build.overlap.lattice import NODATA, Box
from spectralearth_build.synthetic import spectra
from spectralearth_build.synthetic.band_sets import BANDS, band_set, nodata_bands
from spectralearth_build.synthetic.scene import Scene, Weights
from spectralearth_build.synthetic.sky import Sky, Veil
from spectralearth_build.synthetic.spec import BACKGROUND, Layers, ProductSpec
from spectralearth_build.synthetic.xml import Cube

Inside = npt.NDArray[np.bool_]
_LINES = 128
"""Number of lines to process at a time, which limits memory."""


def render(
    scene: Scene, sky: Sky, spec: ProductSpec, inside: Inside, noise: float = 1.0
) -> tuple[Cube, Layers]:
    """Render image and quality layers of a product. The same arguments give the same result.

    Noise depends only on datatake, position and band. So two tiles of a datatake agree where they overlap, and two
    processing versions of a tile differ only in the bands that they leave out.

    Args:
        scene: the ground.
        sky: the weather.
        spec: the product.
        inside: pixels inside the swath [line, col].
        noise: factor on the sensor's noise; 0 for none.
    """
    bands = band_set(spec.band_set)
    endmembers = _endmembers(bands.wavelength_nm)
    sigma = (noise * spectra.noise(bands.wavelength_nm)).astype(np.float32)
    sigma[list(nodata_bands(spec.version))] = np.nan
    key = np.uint64(
        int.from_bytes(sha256(f"{scene.seed} {spec.datatake} {spec.epsg}".encode()).digest()[:8], "big")
    )
    cube = np.full((BANDS, *inside.shape), NODATA, np.int16)
    parts = []
    for line in range(0, spec.box.height, _LINES):
        lines = slice(line, min(line + _LINES, spec.box.height))
        box = Box(spec.box.line + line, spec.box.col, lines.stop - line, spec.box.width)
        lon, lat = lonlat(box, spec.epsg)
        shares, veil = scene.abundances(lon, lat, spec.started), sky.veil(lon, lat)
        _record(mixed(shares, veil), endmembers, sigma, key, box.line, box.col, inside[lines], cube[:, lines])
        parts.append(_layers(shares, veil, inside[lines]))
    joined = [np.concatenate(layer) for layer in zip(*parts, strict=True)]
    return cube, Layers(*joined)


def lonlat(box: Box, epsg: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Longitude and latitude of the pixel centres of a lattice box, degrees [line, col]."""
    lon, lat = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*np.meshgrid(*box.centres))
    return lon, lat


def mixed(shares: Weights, veil: Veil) -> Weights:
    """Weights of surfaces, cloud and haze in the recorded signal, float32 [8, line, col]."""
    ground = shares * ((1 - veil.opacity) * (1 - veil.shade))
    return np.concatenate([ground, veil.opacity[None], veil.haze[None]])


def _endmembers(wavelength_nm: npt.NDArray[np.float64]) -> Weights:
    """The spectra to which the weights of `mixed` apply, float32 [8, band]."""
    extra = [spectra.cloud(wavelength_nm), spectra.haze(wavelength_nm)]
    return np.concatenate([spectra.surfaces(wavelength_nm), extra]).astype(np.float32)


def _layers(shares: Weights, veil: Veil, inside: Inside) -> list[npt.NDArray[np.uint8]]:
    """The quality layers in the order of `Layers`."""
    cloud, shadow, haze = veil.flags
    snow = (shares[5] > 0.5) & (cloud == 0)
    classes = np.where(inside, np.where(shares[3] > 0.5, 2, 1), BACKGROUND).astype(np.uint8)
    flags = [layer * inside for layer in (cloud, shadow, haze, snow, veil.cirrus)]
    return [
        classes,
        *(flag.astype(np.uint8) for flag in flags),
        np.where(veil.haze > 0.5, 1, 0).astype(np.uint8),
    ]


@kernel
def _record(
    weights: Weights,
    endmembers: Weights,
    sigma: npt.NDArray[np.float32],
    key: np.uint64,
    first_line: int,
    first_col: int,
    inside: Inside,
    out: Cube,
) -> None:
    """Mix spectra, add noise and quantise; bands whose noise is NaN stay nodata."""
    members, bands = endmembers.shape
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if not inside[i, j]:
                continue
            state = key + np.uint64(first_line + i + (1 << 31)) * np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(29))) + np.uint64(first_col + j + (1 << 31)) * np.uint64(
                0xD1342543DE82EF95
            )
            for band in range(bands):
                state += np.uint64(0x9E3779B97F4A7C15)
                if np.isnan(sigma[band]):
                    continue
                value = _normal(state) * sigma[band]
                for member in range(members):
                    value += weights[member, i, j] * endmembers[member, band]
                out[band, i, j] = np.int16(np.round(min(max(value * 1e4, -32767.0), 32767.0)))


@kernel
def _normal(state: np.uint64) -> float:
    """An approximately standard normal number: the sum of four uniform numbers from one hash (splitmix64)."""
    mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    low = np.uint64(0xFFFF)
    total = 0.0
    for shift in range(0, 64, 16):
        total += float((mixed >> np.uint64(shift)) & low)
    return (total / 65536.0 - 2.0 + 2.0 / 65536.0) * 1.7320508075688772
