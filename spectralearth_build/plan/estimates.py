"""What a plan will cost, said before a pixel is read."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from spectralearth_build.overlap.lattice import WINDOW

BANDS = 202
PATCH_BYTES = BANDS * WINDOW * WINDOW * 2
STORED_SHARE = {"spectral": 0.47, "fast": 0.54, "portable": 0.67}
"""Stored bytes per raw byte on synthetic land (docs/benchmarks.md); water compresses better."""
DECODE_BYTES_PER_SECOND = 250e6
ENCODE_BYTES_PER_SECOND = 400e6
"""Of one core, from the same page: deflated strips decoded, patches encoded and written."""


@dataclass(frozen=True)
class Estimate:
    """Sizes in bytes, time in seconds."""

    raw_bytes: int
    """All patches, uncompressed."""
    stored_bytes: int
    """All patches as the codec will leave them, about."""
    worker_bytes: int
    """Most memory that one worker will need."""
    seconds: float
    """Time to cut, with the workers given, about."""


def estimate(
    patches: pd.DataFrame, tiles: pd.DataFrame, codec: str, shard_rows: int, workers: int
) -> Estimate:
    """Project a plan's cost.

    Args:
        patches: patch table.
        tiles: tile table.
        codec: name of the codec.
        shard_rows: rows in a shard.
        workers: processes that will cut.
    """
    from spectralearth_build.store.cut import projected_memory

    raw = len(patches) * PATCH_BYTES
    read = tiles[tiles["tile_id"].isin(patches["tile_id"].unique()) & tiles["eligible"].astype(bool)]
    pixels = (read["height"].astype(float) * read["width"].astype(float)).sum()
    largest = [
        projected_memory(int(h), int(w), shard_rows)
        for h, w in zip(read["height"], read["width"], strict=True)
    ]
    seconds = pixels * BANDS * 2 / DECODE_BYTES_PER_SECOND + raw / ENCODE_BYTES_PER_SECOND
    return Estimate(raw, int(raw * STORED_SHARE[codec]), max(largest, default=0), seconds / max(1, workers))


def readable(size: float) -> str:
    """Bytes for people: 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """Seconds for people: 2 min 5 s."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{max(1, whole)} s"
