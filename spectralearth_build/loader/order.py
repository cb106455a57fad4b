"""The order of samples and their assignment to processes, as pure functions of seed, epoch and rank.

The order is a random permutation of the whole dataset, new in each epoch. It uses a bit stream that numpy guarantees
not to change, so the same seed gives the same order with any version of numpy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_ORDER, _DATES = 0, 1
"""Purposes of random numbers, which keep their streams separate."""


def permutation(n: int, seed: int, epoch: int) -> Numbers:
    """Return the random order of an epoch: a permutation of 0 to n - 1, int64 [n]."""
    # Sorting random numbers whose low bits are their position is four times faster than argsort, and has no
    # ties.
    low = np.uint64((1 << max(1, n - 1).bit_length()) - 1)
    drawn = (_bits(n, seed, epoch, _ORDER) & ~low) | np.arange(n, dtype=np.uint64)
    drawn.sort()
    return (drawn & low).astype(np.int64)


def keys(n: int, seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """Return a random number for each of n patches, used to choose the dates of an epoch, uint64 [n]."""
    return _bits(n, seed, epoch, _DATES)


def steps(n: int, seen: int, batch: int, world: int, drop_last: bool) -> int:
    """Return the number of batches left in an epoch for each process.

    Args:
        n: number of samples per epoch.
        seen: number of samples that all processes together have used.
        batch: batch size of one process.
        world: number of processes.
        drop_last: leave out samples that do not fill a batch of every process.
    """
    left = max(0, n - seen)
    return left // (world * batch) if drop_last else -(-left // (world * batch))


def batches(
    order: Numbers, seen: int, batch: int, rank: int, world: int, drop_last: bool
) -> Iterator[Numbers]:
    """Yield the batches of one process for the rest of an epoch, as positions in ``order``.

    All processes get the same number of batches, of the same sizes. Together they get each sample once. If the last
    batch cannot be divided evenly, the first samples of the epoch are repeated to fill it (fewer than ``world``).

    Args:
        order: the samples of the epoch, in order.
        seen: number of samples that all processes together have used.
        batch: batch size of one process.
        rank: rank of the process, from 0.
        world: number of processes.
        drop_last: leave out samples that do not fill a batch of every process.
    """
    n = len(order)
    for step in range(steps(n, seen, batch, world, drop_last)):
        first = seen + step * world * batch
        last = min(first + world * batch, -(-(n - seen) // world) * world + seen)
        yield np.arange(first + rank, last, world) % n


def _bits(n: int, seed: int, epoch: int, purpose: int) -> npt.NDArray[np.uint64]:
    return np.random.PCG64([seed, epoch, purpose]).random_raw(n)
