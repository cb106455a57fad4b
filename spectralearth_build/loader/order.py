"""In which order samples come, and which of them are whose: pure functions of seed, epoch and rank.

The order is a random permutation of the whole dataset, a new one each epoch. It is made of a bit stream that numpy
promises never to change, so the same seed gives the same order with any version.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_ORDER, _DATES = 0, 1
"""Purposes of random numbers, so that none is used twice."""


def permutation(n: int, seed: int, epoch: int) -> Numbers:
    """The numbers 0 to n - 1 in the random order of an epoch, int64 [n]."""
    # Sorting random numbers that end in their own position is four times faster than argsort, and has no ties.
    low = np.uint64((1 << max(1, n - 1).bit_length()) - 1)
    drawn = (_bits(n, seed, epoch, _ORDER) & ~low) | np.arange(n, dtype=np.uint64)
    drawn.sort()
    return (drawn & low).astype(np.int64)


def keys(n: int, seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    """A random number for each of n patches, by which dates of a location are chosen in an epoch, uint64 [n]."""
    return _bits(n, seed, epoch, _DATES)


def steps(n: int, seen: int, batch: int, world: int, drop_last: bool) -> int:
    """Batches that each process gets of what is left of an epoch.

    Args:
        n: samples of an epoch.
        seen: how many of them all processes together have had.
        batch: samples of a batch of one process.
        world: number of processes.
        drop_last: leave out what does not fill a batch of every process.
    """
    left = max(0, n - seen)
    return left // (world * batch) if drop_last else -(-left // (world * batch))


def batches(
    order: Numbers, seen: int, batch: int, rank: int, world: int, drop_last: bool
) -> Iterator[Numbers]:
    """What one process reads of the rest of an epoch: positions in ``order``, batch by batch.

    All processes get the same number of batches of the same sizes. Together they get each sample once; where the last
    batch does not divide, the first samples of the epoch are repeated to fill it up (fewer than ``world``).

    Args:
        order: the samples of the epoch in order.
        seen: how many all processes together have had.
        batch: samples of a batch of one process.
        rank: which process, from 0.
        world: number of processes.
        drop_last: leave out what does not fill a batch of every process.
    """
    n = len(order)
    for step in range(steps(n, seen, batch, world, drop_last)):
        first = seen + step * world * batch
        last = min(first + world * batch, -(-(n - seen) // world) * world + seen)
        yield np.arange(first + rank, last, world) % n


def _bits(n: int, seed: int, epoch: int, purpose: int) -> npt.NDArray[np.uint64]:
    return np.random.PCG64([seed, epoch, purpose]).random_raw(n)
