"""Comparison of stored patches with their source pixels: patches are cut again, without writing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectralearth_build.checking.against import kind_of
from spectralearth_build.checking.damage import Damage
from spectralearth_build.cutting.compose import Sources, compose
from spectralearth_build.cutting.sources import SourceCache
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import commit_name, shard_name
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.commit import decode
from spectralearth_build.store.shard import ShardReader


def compare_tile(archive: Path, dataset: Path, task: TileTask) -> list[Damage]:
    """Cut the patches of a tile again, and compare them with the stored ones.

    Raises:
        ProductError: The tile cannot be read.
    """
    patches = [patch for group in task.shards.values() for patch in group]
    # All pixels and positions are compared, so a product in another archive format is as good as the one that
    # scan read.
    plain = {name: replace(source, content="") for name, source in task.sources.items()}
    sources = SourceCache(archive, dataset, replace(task, sources=plain), patches)
    sources(task.tile_id)
    return [damage for shard in task.shards for damage in _compare_shard(dataset, task, shard, sources)]


def _compare_shard(dataset: Path, task: TileTask, shard: int, sources: Sources) -> Iterator[Damage]:
    name, checksums = shard_name(shard), _checksums(dataset, shard)
    for patch in task.shards[shard]:
        try:
            reader = ShardReader(dataset / name, task.shard_rows)
            stored = reader.patch(patch.row - shard * task.shard_rows, task.codec)
        except DamagedError:
            continue  # already reported by the check of the shard
        pixels, reason = compose(patch, sources)
        if reason:
            task.presence()
        hit = (patch.patch_id,)
        if (stored is None) != bool(reason):
            kind = kind_of(reason.rpartition(": ")[2], "SourceDiffers")
            yield Damage(kind, name, f"{patch.patch_id}: {reason or 'it can be cut now'}.", hit)
        elif stored is not None and not np.array_equal(stored, pixels):
            count = int((stored != pixels).sum())
            what = f"{patch.patch_id}: {count} values differ from the source."
            yield Damage("SourceDiffers", name, what, hit)
        elif stored is not None and checksum_of(pixels) != checksums.get(patch.row, checksum_of(pixels)):
            what = f"{patch.patch_id}: store and source agree, but both differ from the pixels that were cut."
            yield Damage("SourceDiffers", name, what, hit)


def _checksums(dataset: Path, shard: int) -> dict[int, int]:
    """Return the checksums of the commit record. An unreadable record is reported elsewhere."""
    try:
        return decode((dataset / commit_name(shard)).read_bytes()).checksums
    except (OSError, ValueError):
        return {}
