"""Size and speed of all codecs on the same patches, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.bench.storing.coders import LIMIT, Coder
from spectralearth_build.progress import track
from spectralearth_build.store.codec import PATCH_BYTES, PATCH_SHAPE, Patch

REFERENCE_BANDS = 10
"""Number of bands from which the reference predicts."""
_TRIES = 3
_ENOUGH = 0.25
"""Minimum duration of a measurement of a fast codec, in seconds."""


def measure(sets: Mapping[str, Sequence[Patch]], coders: Sequence[Coder], threads: int) -> pd.DataFrame:
    """Measure ratio and speeds of each codec on each set of patches.

    Args:
        sets: patches, by description.
        coders: the codecs.
        threads: number of threads of the multi-threaded decoding speed.

    Returns:
        One row per measurement, with columns pixels, coder, kind, ratio (raw over stored), encode, decode and
        decode_threads (GB/s of raw data, best of several tries).

    Raises:
        AssertionError: A codec is not lossless.
    """
    warm = ThreadPoolExecutor(threads)
    jobs = {f"{pixels}: {coder.name}": (pixels, coder) for pixels in sets for coder in coders}
    rows = [
        _measured(pixels, sets[pixels], coder, warm, threads)
        for _, (pixels, coder) in track(iter(jobs.items()), "bench store", len(jobs))
    ]
    warm.shutdown()
    return pd.DataFrame(rows)


def _measured(
    pixels: str, patches: Sequence[Patch], coder: Coder, pool: ThreadPoolExecutor, threads: int
) -> dict[str, object]:
    coded = [coder.encode(patch) for patch in patches]
    if coder.kind != LIMIT:
        out = np.empty(PATCH_SHAPE, np.int16)
        for data, patch in zip(coded, patches, strict=True):
            coder.decode(data, out)
            assert np.array_equal(out, patch), f"{coder.name} is not lossless"

    own = np.empty(PATCH_SHAPE, np.int16)

    def decode_all(_: int) -> None:
        mine = np.empty(PATCH_SHAPE, np.int16)
        for data in coded:
            coder.decode(data, mine)

    gigabytes = len(patches) * PATCH_BYTES / 1e9
    return {
        "pixels": pixels,
        "coder": coder.name,
        "kind": coder.kind,
        "ratio": len(patches) * PATCH_BYTES / sum(len(data) for data in coded),
        "encode": gigabytes / sum(best(partial(coder.encode, patch)) for patch in patches),
        "decode": gigabytes / sum(best(partial(coder.decode, data, own)) for data in coded),
        "decode_threads": threads * gigabytes / best(lambda: list(pool.map(decode_all, range(threads)))),
    }


def best(work: Callable[[], object]) -> float:
    """Return the minimum seconds of several tries, more if it is fast, since other load can only make it slower."""
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < _TRIES or time.perf_counter() - began < _ENOUGH:
        at = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - at)
        if sum(seconds) > _TRIES:
            break
    return min(seconds)


def memory_speed() -> float:
    """Return the speed of copying a patch in GB/s."""
    source, out = np.ones(PATCH_SHAPE, np.int16), np.empty(PATCH_SHAPE, np.int16)
    return PATCH_BYTES / 1e9 / best(partial(np.copyto, out, source))


def reference(patches: Sequence[Patch], bands: int = REFERENCE_BANDS) -> float:
    """Return the raw size over the residual entropy of a least-squares prediction from ``bands`` bands.

    It is solved in double precision on all pixels. The entropy is that of single residuals by band, without the cost of
    coefficients or of a code. A codec of this kind approaches this ratio but cannot reach it.
    """
    return 16 / float(np.mean([_residual_bits(patch.reshape(len(patch), -1), bands) for patch in patches]))


def _residual_bits(flat: npt.NDArray[np.int16], bands: int) -> float:
    values = flat.astype(np.float64)
    bits = [_entropy(flat[0])]
    for band in range(1, len(flat)):
        near = np.vstack([values[max(0, band - bands) : band], np.ones(flat.shape[1])])
        weights = np.linalg.lstsq(near @ near.T, near @ values[band], rcond=None)[0]
        bits.append(_entropy(flat[band] - np.rint(weights @ near).astype(np.int64)))
    return float(np.mean(bits))


def _entropy(values: npt.NDArray[np.integer]) -> float:
    share = np.unique(values, return_counts=True)[1] / values.size
    return float(-(share * np.log2(share)).sum())
