"""How numbers and names are said."""

from __future__ import annotations

import re
from pathlib import Path

_STAND_IN = re.compile("[\\udc80-\\udcff]")
"""What Python reads in place of a byte that is not UTF-8 (os.fsdecode)."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 tile, 2 tiles, 1,000 tiles.

    Args:
        number: how many.
        one: the noun for one.
        many: the noun for any other number; with an s by default.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def as_text(name: str) -> str:
    r"""A name as Python reads it from a disk or a tar, each byte that is not UTF-8 written ``\xff``."""
    return _STAND_IN.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)


def is_utf8(text: Path | str) -> bool:
    """Whether a path can be handed to what takes UTF-8 only: GDAL, Parquet, Zarr, JSON."""
    return not _STAND_IN.search(str(text))
