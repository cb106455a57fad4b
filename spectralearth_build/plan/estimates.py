"""What a plan will cost, said before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from spectralearth_build.archive.bands import BANDS
from spectralearth_build.overlap.lattice import WINDOW

PATCH_BYTES = 2 * BANDS * WINDOW**2
STORED_SHARE = {"spectral": 0.47, "fast": 0.54, "portable": 0.67}
"""Stored bytes per raw byte of synthetic land, about: `spectral` as the demo's report says, the others seen with a
prototype. Water compresses better."""
DECODE_BYTES_PER_SECOND = 210e6
ENCODE_BYTES_PER_SECOND = 220e6
"""Of one core, as seen once on a tile of 1100 x 1250 pixels in deflated strips: 2.6 s to read, 1.9 s for 64 patches."""
WORKER_BYTES = 450 << 20
"""A worker with its libraries and GDAL's cache, measured."""


@dataclass(frozen=True)
class Estimate:
    """Sizes in bytes, time in seconds."""

    raw_bytes: int
    """All patches, uncompressed."""
    stored_bytes: int
    """All patches as the codec will leave them, about."""
    worker_bytes: int
    """Most memory that one worker will need."""
    core_seconds: float
    """Time to cut with one worker, about."""


def estimate(patches: pd.DataFrame, tiles: pd.DataFrame, codec: str) -> Estimate:
    """Project a plan's cost.

    Args:
        patches: patch table.
        tiles: tile table.
        codec: name of the codec.
    """
    raw = len(patches) * PATCH_BYTES
    read = tiles[tiles["tile_id"].isin(patches["tile_id"].unique()) & tiles["eligible"].astype(bool)]
    pixels = (read["height"].astype(float) * read["width"].astype(float)).sum()
    largest = [projected_memory(int(h), int(w)) for h, w in zip(read["height"], read["width"], strict=True)]
    seconds = pixels * BANDS * 2 / DECODE_BYTES_PER_SECOND + raw / ENCODE_BYTES_PER_SECOND
    return Estimate(raw, int(raw * STORED_SHARE[codec]), max(largest, default=0), round(seconds, 3))


def projected_memory(height: int, width: int) -> int:
    """Peak bytes of a worker that cuts a tile: the tile, a neighbour's lines, a few patches.

    A shard costs nothing, because it is written as a stream.

    Args:
        height: lines of the tile.
        width: its columns.
    """
    line = 2 * BANDS * width
    return WORKER_BYTES + line * (height + 2 * 2 * WINDOW) + 4 * PATCH_BYTES


def readable(size: float) -> str:
    """Bytes for people: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: 2 min 5 s."""
    whole = max(1, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
