"""What a file that was made again must look like to replace the published one, whichever version wrote that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from spectralearth_build.layout import PLAN
from spectralearth_build.plan.planner import of_before
from spectralearth_build.store.commit import decode
from spectralearth_build.store.manifest import Entry, entry, entry_of_file
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

TABLES = (TILES, LOCATIONS, PATCHES, OVERLAPS, TUPLES)


def forms_of(name: str, data: bytes) -> list[bytes]:
    """A table or plan as this version writes it, and as earlier ones did."""
    forms = [data, *(table.of_before(data) for table in TABLES if table.file == name)]
    return [*forms, of_before(data)] if name == PLAN else forms


def record_as_published(name: str, made: Path, dataset: Path, expected: Mapping[str, Entry]) -> bytes:
    """A commit record made again, as it was published: those of earlier versions knew no checksums of pixels.

    Args:
        name: its path below a dataset.
        made: the dataset in which it was made again.
        dataset: the damaged one. Its own record counts where there is no manifest.
        expected: what the manifest says of all files; empty if there is none.
    """
    data, there = (made / name).read_bytes(), dataset / name
    plain = replace(decode(data), pixels=()).encode()
    if expected:
        return plain if expected.get(name) == entry(plain) else data
    return plain if there.is_file() and there.read_bytes() == plain else data


def committed_hash(record: Path) -> str | None:
    """Hash of the shard by its commit record, if that can be read."""
    try:
        return decode(record.read_bytes()).sha256
    except (OSError, ValueError):
        return None


def entry_if_there(path: Path) -> Entry | None:
    """Size and hash of a file; None if there is none."""
    return entry_of_file(path) if path.is_file() else None
