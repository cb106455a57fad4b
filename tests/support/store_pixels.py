"""Pixels to code: synthetic land, the real pair, and patches that no camera ever saw."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import tifffile

from spectralearth_build.bench.storing.sample_patches import synthetic_land

PAIR = Path(__file__).parents[1] / "data" / "hyspecnet_pair"
KEPT = np.array([b for b in range(224) if not (126 <= b <= 140 or 160 <= b <= 166)])
"""The 202-band rule for this product's band set: 1-based 127-141 and 161-167 are dropped."""


@cache
def land(noise: float = 1.0) -> np.ndarray:
    """One patch of synthetic land, int16 [202, 128, 128]."""
    return synthetic_land(1, noise)[0]


@cache
def pair() -> tuple[np.ndarray, np.ndarray]:
    """The two real patches of water, each int16 [202, 128, 128], read by tifffile."""
    cubes = [tifffile.imread(path) for path in sorted(PAIR.glob("*/*SPECTRAL_IMAGE.TIF"))]
    first, second = (c if c.shape[0] == 224 else np.moveaxis(c, -1, 0) for c in cubes)
    return np.ascontiguousarray(first[KEPT]), np.ascontiguousarray(second[KEPT])


def noise(seed: int = 0, low: int = -32768, high: int = 32768) -> np.ndarray:
    """Random values, int16 [202, 128, 128]."""
    return np.random.default_rng(seed).integers(low, high, (202, 128, 128)).astype(np.int16)
