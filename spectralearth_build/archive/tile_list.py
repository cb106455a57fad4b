"""Tile lists: files that say which tiles a dataset is made of, to share with others.

A list is CSV in UTF-8 with the columns ``tile_id`` and, optionally, ``version``; lines that begin with '#' are
comments. data_manifests/README.md describes it for users.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.archive.names import ProductName, datatake_of
from spectralearth_build.errors import UsageError
from spectralearth_build.files import write_bytes
from spectralearth_build.shipped import shipped

_TILE = re.compile(r"DT(\d{9,10})_(\d{3})", re.ASCII)
_VERSION = re.compile(r"(?:V\d{6})?", re.ASCII)
_REMEDY = f"See {shipped('data_manifests/README.md')} for the format."


@dataclass(frozen=True, order=True)
class Listed:
    """One line of a tile list."""

    tile_id: str
    """Datatake and tile, DT0000001849_005."""
    version: str = ""
    """Processor version, V010402; empty for the newest."""

    def takes(self, name: ProductName) -> bool:
        """Whether a product matches this line."""
        return self.tile_id == name.tile_id and self.version in ("", name.version)


def read_tile_list(path: Path) -> dict[str, Listed]:
    """Read a tile list.

    Returns:
        The lines by tile_id, in the order of the file.

    Raises:
        UsageError: the file cannot be read or has other columns, or a line has an invalid tile or version, or gives
            another version of a tile that an earlier line has.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The tile list cannot be read ({error}).", path, _REMEDY) from error
    lines = [
        (number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"
    ]
    rows = csv.DictReader(line for _, line in lines)
    columns = [column.strip() for column in rows.fieldnames or []]
    if columns not in (["tile_id"], ["tile_id", "version"]):
        raise UsageError(f"The columns are {columns}, not tile_id and version.", path, _REMEDY)
    listed: dict[str, Listed] = {}
    for (number, line), row in zip(lines[1:], rows, strict=False):
        item = _parse([(value or "").strip() for value in row.values() if not isinstance(value, list)])
        if item is None or None in row:
            raise UsageError(f"Line {number}, '{line[:60]}', is not a tile and a version.", path, _REMEDY)
        if listed.setdefault(item.tile_id, item) != item:
            raise UsageError(f"Line {number} asks for another version of {item.tile_id}.", path, _REMEDY)
    return listed


def write_tile_list(path: Path, tiles: Iterable[Listed], comment: str = "") -> None:
    """Write a tile list.

    Args:
        path: the file.
        tiles: the lines, in order.
        comment: comment lines for the top of the file.
    """
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in comment.splitlines())
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tile_id", "version"])
    writer.writerows([tile.tile_id, tile.version] for tile in tiles)
    write_bytes(path, text.getvalue().encode())


def missing(listed: dict[str, Listed], found: Collection[ProductName]) -> list[Listed]:
    """Lines of a list that match no product."""
    there = {name.tile_id for name in found if name.tile_id in listed and listed[name.tile_id].takes(name)}
    return [item for tile, item in listed.items() if tile not in there]


def _parse(values: list[str]) -> Listed | None:
    tile, version = _TILE.fullmatch(values[0]), (*values, "")[1]
    if tile is None or not _VERSION.fullmatch(version):
        return None
    return Listed(f"{datatake_of(tile[1])}_{tile[2]}", version)
