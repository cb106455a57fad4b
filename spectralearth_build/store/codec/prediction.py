"""Least-squares prediction of each band from previous bands in 16-bit integers, bit-exact on every machine.

All arithmetic is modulo 2^16; ``times(c, v)`` is ``(c * int16(2 v)) >> 16``, so a coefficient c stands for c / 32768.
With p[b] the values of band b (zero for b < 0) and k = 1..K,

    guess[b] = offset[b] + p[b-1] + sum over k of times(weight[b, k], p[b-k])
    error[b] = p[b] - guess[b]
    residual[b, y] = zigzag(error[b, y] - times(north[b], error[b, y-1]))         (error is zero for y < 0)

The error of the previous line removes the stripes that a push-broom sensor leaves in flight direction. Floating-point
arithmetic only affects which coefficients the encoder chooses. Weights of bands before the first are zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import inlined, kernel
from spectralearth_build.store.codec.zigzag import unzigzag, zigzag

Cube = npt.NDArray[np.int16]
"""int16 [band, line, LANES]."""
Residual = npt.NDArray[np.uint16]
"""uint16 [band, line, LANES]."""
Coefficients = npt.NDArray[np.int16]
"""int16 [band, K + 2]: weights of the K previous bands, nearest first, then north and offset."""

LANES = 128
"""Pixels per line. Known at compile time, so that a line stays in registers."""
GROUP = 4
"""K must be a multiple of this."""
_UNIT = 32768.0
_STEP = 4
"""Every n-th line is used to choose coefficients."""
_TILE = 4
"""Number of lines, of all bands, to process at a time."""
_ROUNDING = 1 / 12
"""Variance that rounding adds to each value. It keeps the equations solvable."""

_short, _int = np.int16, np.int32


@inlined
def _times(c: np.int16, v: np.int16) -> np.int16:
    return _short(_int(_int(c) * _int(_short(v << _short(1)))) >> _int(16))


def predict(cube: Cube, coefficients: Coefficients, residual: Residual) -> None:
    """Choose coefficients and compute residuals.

    Args:
        cube: int16 [band, line, 128], C-contiguous.
        coefficients: output, int16 [band, K + 2], zero on entry. K is a multiple of 4.
        residual: output, uint16 [band, line, 128].
    """
    _fit(np.ascontiguousarray(cube[:, ::_STEP]).reshape(len(cube), -1), coefficients)
    _take(cube, coefficients, residual)


def restore(coefficients: Coefficients, residual: Residual, out: Cube) -> None:
    """Undo `predict`.

    Args:
        coefficients: int16 [band, K + 2].
        residual: uint16 [band, line, 128].
        out: C-contiguous output, int16 [band, line, 128].
    """
    few = coefficients.shape[1] == GROUP + 2
    (_restore_four if few else _restore)(coefficients, residual, out)


@kernel
def _fit(sample: npt.NDArray[np.int16], coefficients: Coefficients) -> None:
    """Fit weights and offsets by least squares on a sample, int16 [band, pixel]."""
    bands, pixels = sample.shape
    k_max = coefficients.shape[1] - 2
    centred = np.empty((bands, pixels), np.int32)
    mean = np.empty(bands)
    for b in range(bands):
        total = 0
        for i in range(pixels):
            total += sample[b, i]
        mean[b] = np.rint(total / max(pixels, 1))
        for i in range(pixels):
            centred[b, i] = _int(sample[b, i]) - _int(mean[b])
    products = np.zeros((bands, k_max + 1))  # exact integer products of band b with band b - d
    for b in range(bands):
        for d in range(min(k_max, b) + 1):
            products[b, d] = _dot(centred[b], centred[b - d])
    weights = np.empty(k_max)
    for b in range(bands):
        count = min(k_max, b)
        _solve(products, b, count, pixels * _ROUNDING, weights)
        offset = mean[b]
        for k in range(count):
            unit = 1.0 if k == 0 else 0.0  # the guess contains the nearest band anyway
            stored = max(-_UNIT, min(_UNIT - 1, np.rint((weights[k] - unit) * _UNIT)))
            coefficients[b, k] = _short(stored)
            offset -= (stored / _UNIT + unit) * mean[b - 1 - k] - 0.5  # times rounds down, by 0.5 on average
        coefficients[b, k_max + 1] = _short(max(-_UNIT, min(_UNIT - 1, np.rint(offset))))


@kernel
def _dot(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> np.int64:
    total = np.int64(0)
    for i in range(a.shape[0]):
        total += np.int64(a[i]) * np.int64(b[i])
    return total


@kernel
def _solve(
    products: npt.NDArray[np.float64], b: int, count: int, ridge: float, weights: npt.NDArray[np.float64]
) -> None:
    """Compute weights [count] of the bands before ``b``, by Cholesky decomposition of the normal equations."""
    root = np.zeros((count, count))
    for i in range(count):
        value = products[b, i + 1]
        for j in range(i + 1):
            entry = products[b - 1 - j, i - j] + (ridge if i == j else 0.0)
            for m in range(j):
                entry -= root[i, m] * root[j, m]
            root[i, j] = np.sqrt(max(entry, ridge)) if i == j else entry / root[j, j]
            if j < i:
                value -= root[i, j] * weights[j]
        weights[i] = value / root[i, i]
    for i in range(count - 1, -1, -1):
        for j in range(i + 1, count):
            weights[i] -= root[j, i] * weights[j]
        weights[i] /= root[i, i]


@inlined
def _spread(coefficients: npt.NDArray[np.int16], lines: Cube) -> None:
    """Repeat each coefficient along a line. Only then does the compiler multiply 16-bit numbers, 32 at a time."""
    for k in range(lines.shape[0]):
        for x in range(LANES):
            lines[k, x] = coefficients[k]


@inlined
def _guess(ring: Cube, lines: Cube, b: int, y: int, guess: npt.NDArray[np.int16]) -> None:
    """Predict line ``y`` of band ``b``, int16 [LANES].

    Args:
        ring: the K previous bands, with band b at index b % K; zero before the first.
        lines: coefficients of the band, from `_spread`.
        b: index of the band.
        y: index of the line in the ring.
        guess: output array.
    """
    count = ring.shape[0]
    near = (b - 1) % count
    for x in range(LANES):
        guess[x] = lines[count + 1, x] + ring[near, y, x]
    for k in range(0, count, GROUP):
        b1, b2, b3, b4 = (b - 1 - k) % count, (b - 2 - k) % count, (b - 3 - k) % count, (b - 4 - k) % count
        for x in range(LANES):
            guess[x] += (
                _times(lines[k, x], ring[b1, y, x])
                + _times(lines[k + 1, x], ring[b2, y, x])
                + _times(lines[k + 2, x], ring[b3, y, x])
                + _times(lines[k + 3, x], ring[b4, y, x])
            )


@kernel
def _take(cube: Cube, coefficients: Coefficients, residual: Residual) -> None:
    """Compute residuals, and the coefficient north of each band: the correlation of errors with the previous line."""
    bands, height = cube.shape[:2]
    count = coefficients.shape[1] - 2
    lines, guess = np.empty((count + 2, LANES), np.int16), np.empty(LANES, np.int16)
    for top in range(0, height, _TILE):
        ring = np.zeros((count, _TILE, LANES), np.int16)
        for b in range(bands):
            _spread(coefficients[b], lines)
            for y in range(top, min(top + _TILE, height)):
                _guess(ring, lines, b, y - top, guess)
                for x in range(LANES):
                    ring[b % count, y - top, x] = cube[b, y, x]
                    residual[b, y, x] = np.uint16(cube[b, y, x] - guess[x])
    error = np.zeros((height + 1, LANES), np.int16)  # zero for the line before the first
    for b in range(bands):
        for y in range(height):
            for x in range(LANES):
                error[y + 1, x] = _short(residual[b, y, x])
        coefficients[b, count] = _north(error)
        _spread(coefficients[b], lines)
        for y in range(height):
            for x in range(LANES):
                residual[b, y, x] = zigzag(_short(error[y + 1, x] - _times(lines[count, x], error[y, x])))


@kernel
def _north(error: npt.NDArray[np.int16]) -> np.int16:
    both, square = np.int64(0), np.int64(1)
    for y in range(2, error.shape[0], _STEP):
        for x in range(LANES):
            both += np.int64(error[y, x]) * np.int64(error[y - 1, x])
            square += np.int64(error[y - 1, x]) * np.int64(error[y - 1, x])
    return _short(max(-_UNIT, min(_UNIT - 1, np.rint(both / square * _UNIT))))


@kernel
def _restore_four(coefficients: Coefficients, residual: Residual, out: Cube) -> None:
    """Apply `restore` with four bands in one pass, as fast as memory allows."""
    lines, error = np.empty((GROUP + 2, LANES), np.int16), np.empty(LANES, np.int16)
    for b in range(residual.shape[0]):
        _spread(coefficients[b], lines)
        for x in range(LANES):
            error[x] = 0
        # Weights of bands before the first are zero, so any band can be used there.
        b1, b2, b3, b4 = max(b - 1, 0), max(b - 2, 0), max(b - 3, 0), max(b - 4, 0)
        some = _short(-1 if b else 0)
        for y in range(residual.shape[1]):
            for x in range(LANES):
                miss = _short(unzigzag(residual[b, y, x]) + _times(lines[4, x], error[x]))
                error[x] = miss
                near = _short(out[b1, y, x] & some)
                out[b, y, x] = (
                    miss
                    + lines[5, x]
                    + near
                    + _times(lines[0, x], near)
                    + _times(lines[1, x], out[b2, y, x])
                    + _times(lines[2, x], out[b3, y, x])
                    + _times(lines[3, x], out[b4, y, x])
                )


@kernel
def _restore(coefficients: Coefficients, residual: Residual, out: Cube) -> None:
    """Apply `restore` with any number of bands, to as many lines at a time as fit in the L1 cache."""
    bands, height = residual.shape[:2]
    count = coefficients.shape[1] - 2
    lines, guess = np.empty((count + 2, LANES), np.int16), np.empty(LANES, np.int16)
    error = np.zeros((bands, LANES), np.int16)
    for top in range(0, height, _TILE):
        ring = np.zeros((count, _TILE, LANES), np.int16)
        for b in range(bands):
            _spread(coefficients[b], lines)
            for y in range(top, min(top + _TILE, height)):
                _guess(ring, lines, b, y - top, guess)
                for x in range(LANES):
                    error[b, x] = unzigzag(residual[b, y, x]) + _times(lines[count, x], error[b, x])
                for x in range(LANES):
                    value = _short(guess[x] + error[b, x])
                    out[b, y, x] = value
                    ring[b % count, y - top, x] = value
