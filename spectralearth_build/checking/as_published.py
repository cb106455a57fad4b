"""The bytes that a recreated file must have to replace the published one, whichever version wrote that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from spectralearth_build.layout import PLAN
from spectralearth_build.plan.planner import of_before
from spectralearth_build.store.commit import decode
from spectralearth_build.store.manifest import Entry, entry, entry_of_file
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

TABLES = (TILES, LOCATIONS, PATCHES, OVERLAPS, TUPLES)


def earlier_forms(name: str, path: Path) -> Iterator[bytes]:
    """Yield a table or plan of this version as earlier versions wrote it."""
    if name == PLAN:
        yield of_before(path.read_bytes())
    for table in TABLES:
        if table.file == name:
            data = path.read_bytes()
            yield table.in_large_groups(data)
            yield table.of_before(data)


def record_as_published(name: str, made: Path, dataset: Path, expected: Mapping[str, Entry]) -> bytes:
    """Return a recreated commit record as it was published. Records of earlier versions have no checksums of pixels.

    Args:
        name: path of the record below a dataset.
        made: the dataset in which it was recreated.
        dataset: the damaged dataset. Without a manifest, its own record decides.
        expected: the files of the manifest; empty without one.
    """
    data, there = (made / name).read_bytes(), dataset / name
    plain = replace(decode(data), pixels=()).encode()
    if expected:
        return plain if expected.get(name) == entry(plain) else data
    return plain if there.is_file() and there.read_bytes() == plain else data


def committed_hash(record: Path) -> str | None:
    """Return the hash of a shard from its commit record; None if the record cannot be read."""
    try:
        return decode(record.read_bytes()).sha256
    except (OSError, ValueError):
        return None


def entry_if_there(path: Path) -> Entry | None:
    """Return size and hash of a file; None if it does not exist."""
    return entry_of_file(path) if path.is_file() else None
