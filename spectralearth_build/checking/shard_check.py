"""Verification of one shard of a finished dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.findings import finding
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import commit_name, shard_name
from spectralearth_build.store import statistics
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.commit import Commit, decode
from spectralearth_build.store.manifest import entry_of_file
from spectralearth_build.store.shard import ShardReader


@dataclass(frozen=True)
class ShardReport:
    """The findings on one shard."""

    damages: tuple[Damage, ...]
    statistics: statistics.BandStatistics
    """Statistics of the patches that could be read and are not retired."""


def check_recorded(
    dataset: Path, shard: int, codec: str, rows: int, retired: frozenset[int], patches: Mapping[int, str]
) -> ShardReport:
    """Check a shard against its commit record; see `check_shard`.

    Args:
        dataset: the dataset.
        shard: number of the shard.
        codec: name of the codec preset.
        rows: number of rows per shard.
        retired: rows to exclude from statistics.
        patches: names of all patches of the shard, by store row.
    """
    commit = decode((dataset / commit_name(shard)).read_bytes())
    written = {row: patches[row] for row in commit.rows if row in patches}
    return check_shard(dataset, commit, codec, rows, retired, written)


def check_shard(
    dataset: Path, commit: Commit, codec: str, rows: int, retired: frozenset[int], patches: Mapping[int, str]
) -> ShardReport:
    """Hash a shard and decode every patch in it.

    Args:
        dataset: the dataset.
        commit: commit record of the shard.
        codec: name of the codec preset.
        rows: number of rows per shard.
        retired: rows to exclude from statistics.
        patches: names of the patches written to it, by store row.

    Raises:
        MachineError: The process may not open enough files, or has too little memory.
    """
    name = shard_name(commit.shard)
    everything = tuple(patches.values())
    try:
        return _check(dataset, name, commit=commit, codec=codec, rows=rows, retired=retired, patches=patches)
    except (DamagedError, OSError) as error:
        whole = finding("ShardDamaged", name, error, patches=everything)
        return ShardReport((whole,), statistics.BandStatistics())


def _check(
    dataset: Path,
    name: str,
    commit: Commit,
    codec: str,
    rows: int,
    retired: frozenset[int],
    patches: Mapping[int, str],
) -> ShardReport:
    everything = tuple(patches.values())
    damages: list[Damage] = []
    parts: dict[int, statistics.BandStatistics] = {}
    reader = ShardReader(dataset / name, rows)
    first = commit.shard * rows
    if [first + row for row in reader.rows()] != list(commit.rows):
        what = "The shard contains other rows than its commit record says."
        damages.append(Damage("ShardDamaged", name, what, everything))
    checksums = commit.checksums
    for row in reader.rows():
        try:
            patch = reader.patch(row, codec)
        except DamagedError as error:
            named = (patches[first + row],) if first + row in patches else ()
            damages.append(Damage("ChunkDamaged", name, f"Row {first + row}: {error.what}", named))
        else:
            assert patch is not None
            if checksum_of(patch) != checksums.get(first + row, checksum_of(patch)):
                named = (patches[first + row],) if first + row in patches else ()
                what = f"Row {first + row} does not decode to the pixels that were cut."
                damages.append(Damage("ChunkDamaged", name, what, named))
            parts[first + row] = statistics.of_patch(patch)
    if entry_of_file(dataset / name)["sha256"] != commit.sha256:
        # The file is valid in itself but differs from the committed one. It is another file, so nothing in it
        # can be trusted.
        hit = () if damages else everything
        damages.append(
            Damage("FileChanged", name, "The SHA-256 differs from that of the commit record.", hit)
        )
    if not damages and statistics.total(parts.values()) != commit.statistics:
        damages.append(
            Damage("StatisticsWrong", name, "The statistics differ from those of the commit record.")
        )
    live = statistics.total(part for row, part in parts.items() if row not in retired)
    return ShardReport(tuple(damages), live)
