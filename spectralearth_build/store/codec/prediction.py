"""Least-squares prediction of each band from those before it, in 16-bit integers: bit-exact on every machine.

All arithmetic is modulo 2^16; ``times(c, v)`` is ``(c * int16(2 v)) >> 16``, so a coefficient c stands for c / 32768.
With p[b] the values of band b (zero for b < 0) and k = 1..K,

    guess[b] = offset[b] + p[b-1] + sum over k of times(weight[b, k], p[b-k])
    error[b] = p[b] - guess[b]
    residual[b, y] = zigzag(error[b, y] - times(north[b], error[b, y-1]))         (error is zero for y < 0)

The error of the line before takes out the stripes that a push-broom sensor leaves in flight direction. Floating point
decides only which coefficients the encoder chooses; weights of bands before the first are zero.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from spectralearth_build.kernels import kernel
from spectralearth_build.store.codec.zigzag import unzigzag, zigzag

Cube = npt.NDArray[np.int16]
"""int16 [band, line, LANES]."""
Residual = npt.NDArray[np.uint16]
"""uint16 [band, line, LANES]."""
Coefficients = npt.NDArray[np.int16]
"""int16 [band, K + 2]: weights of the K bands before, nearest first, then north and offset."""

LANES = 128
"""Pixels of a line: known when compiling, so that a line stays in registers."""
GROUP = 4
"""K is a multiple of this many bands."""
_UNIT = 32768.0
_STEP = 4
"""Every so many lines are looked at to choose coefficients."""
_TILE = 4
"""Lines of all bands that are worked on at a time."""
_ROUNDING = 1 / 12
"""Variance of what rounding adds to each value: keeps the equations solvable."""

_short, _int = np.int16, np.int32


@numba.njit(inline="always")
def _times(c: np.int16, v: np.int16) -> np.int16:
    return _short(_int(_int(c) * _int(_short(v << _short(1)))) >> _int(16))


def predict(cube: Cube, coefficients: Coefficients, residual: Residual) -> None:
    """Choose coefficients and take residuals.

    Args:
        cube: int16 [band, line, 128], C-contiguous.
        coefficients: int16 [band, K + 2], zero, gets the coefficients; K is a multiple of 4.
        residual: uint16 [band, line, 128], gets the residuals.
    """
    _fit(np.ascontiguousarray(cube[:, ::_STEP]).reshape(len(cube), -1), coefficients)
    _take(cube, coefficients, residual)


def restore(coefficients: Coefficients, residual: Residual, out: Cube) -> None:
    """Undo `predict`.

    Args:
        coefficients: int16 [band, K + 2].
        residual: uint16 [band, line, 128].
        out: int16 [band, line, 128], C-contiguous, gets the values.
    """
    few = coefficients.shape[1] == GROUP + 2
    (_restore_four if few else _restore)(coefficients, residual, out)


@kernel
def _fit(sample: npt.NDArray[np.int16], coefficients: Coefficients) -> None:
    """Weights and offsets by least squares on a sample int16 [band, pixel]."""
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
    products = np.zeros((bands, k_max + 1))  # of band b with band b - d, exact integers
    for b in range(bands):
        for d in range(min(k_max, b) + 1):
            products[b, d] = _dot(centred[b], centred[b - d])
    weights = np.empty(k_max)
    for b in range(bands):
        count = min(k_max, b)
        _solve(products, b, count, pixels * _ROUNDING, weights)
        offset = mean[b]
        for k in range(count):
            unit = 1.0 if k == 0 else 0.0  # the nearest band is in the guess anyway
            stored = max(-_UNIT, min(_UNIT - 1, np.rint((weights[k] - unit) * _UNIT)))
            coefficients[b, k] = _short(stored)
            offset -= (stored / _UNIT + unit) * mean[b - 1 - k] - 0.5  # times rounds down, by half on average
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
    """Weights [count] of the bands before ``b``, by Cholesky's decomposition of the normal equations."""
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


@numba.njit(inline="always")
def _spread(coefficients: npt.NDArray[np.int16], lines: Cube) -> None:
    """A line of each coefficient: only so does the compiler multiply 16-bit numbers, 32 at a time."""
    for k in range(lines.shape[0]):
        for x in range(LANES):
            lines[k, x] = coefficients[k]


@numba.njit(inline="always")
def _guess(ring: Cube, lines: Cube, b: int, y: int, guess: npt.NDArray[np.int16]) -> None:
    """What line ``y`` of band ``b`` should be, int16 [LANES].

    Args:
        ring: the K bands before, band b in place b % K; zero where there is none.
        lines: coefficients of the band, as `_spread` leaves them.
        b: the band.
        y: the line, counted inside the ring.
        guess: gets the values.
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
    """Residuals, and the coefficient north of each band: the correlation of its errors with the line before."""
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
    error = np.zeros((height + 1, LANES), np.int16)  # of the line before the first: zero
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
    """`restore` from four bands, in one go: as fast as memory."""
    lines, error = np.empty((GROUP + 2, LANES), np.int16), np.empty(LANES, np.int16)
    for b in range(residual.shape[0]):
        _spread(coefficients[b], lines)
        for x in range(LANES):
            error[x] = 0
        # Before the first band lies nothing; the weights there are zero, so any band will do.
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
    """`restore` from any number of bands: some lines of all bands at a time, which the nearest cache holds."""
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
