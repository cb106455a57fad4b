"""Estimate the cost of a plan before any pixel is read."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from spectralearth_build.archive.bands import BANDS
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.plan_document import Estimate

PATCH_BYTES = 2 * BANDS * WINDOW**2
STORED_SHARE = {"spectral": 0.47, "fast": 0.50, "portable": 0.58, "dense": 0.43}
"""Approximate stored bytes per raw byte for synthetic land; `bench store` measures it. Water compresses better."""
DECODE_BYTES_PER_SECOND = 330e6
ENCODE_BYTES_PER_SECOND = 750e6
"""Rates of one core, from CPU seconds of `bench cut --rounds 2` on a quiet machine (docs/benchmarks.md) with strips of
3 lines and deflate. Decoding: bytes of kept bands by `decode_cpu`. Encoding: bytes of raw patches by
`cut_cpu - decode_cpu`, which includes all steps after decoding (composing, encoding, statistics, hashing, writing)."""
WORKER_BYTES = 450 << 20
"""Measured memory of a worker with its libraries and GDAL's cache."""


def estimate(patches: int, names: Collection[str], tiles: pd.DataFrame, codec: str) -> Estimate:
    """Estimate the cost of cutting.

    Args:
        patches: number of patches.
        names: ids of the tiles that are read for them.
        tiles: tile table.
        codec: name of the codec.
    """
    raw = patches * PATCH_BYTES
    read = tiles[tiles["tile_id"].isin(names) & tiles["eligible"].astype(bool)]
    pixels = (read["height"].astype(float) * read["width"].astype(float)).sum()
    largest = [projected_memory(int(h), int(w)) for h, w in zip(read["height"], read["width"], strict=True)]
    seconds = pixels * BANDS * 2 / DECODE_BYTES_PER_SECOND + raw / ENCODE_BYTES_PER_SECOND
    return Estimate(raw, int(raw * STORED_SHARE[codec]), max(largest, default=0), round(seconds, 3))


def projected_memory(height: int, width: int, threads: int = 1) -> int:
    """Peak memory, bytes, of a worker that cuts a tile: the tile, lines of a neighbour, a few patches.

    A shard needs no memory, because it is written as a stream.

    Args:
        height: lines of the tile.
        width: columns of the tile.
        threads: threads of the task; each holds a part of the raster or a few patches.
    """
    line = 2 * BANDS * width
    return WORKER_BYTES + line * (height + 2 * 2 * WINDOW) + 4 * PATCH_BYTES * (1 + threads)


def readable(size: float) -> str:
    """Format bytes for people: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
